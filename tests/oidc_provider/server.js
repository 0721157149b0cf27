// The certified OpenID provider `oidc-provider` with its own development login pages, for the login tests.
//
// node server.js PORT CLIENTS
//
// CLIENTS is a JSON array of clients as `oidc-provider` takes them. Listens on loopback only, prints one line `ready ISSUER` when it does, and keeps everything in memory. Any login name
// is an account whose e-mail address is that name; names that begin with `unverified` have an address that the provider
// does not vouch for.

import crypto from 'node:crypto';
import Provider from 'oidc-provider';

const [port, clients] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const account = (id) => ({
  accountId: id,
  claims: () => ({
    sub: id,
    email: id,
    email_verified: !id.startsWith('unverified'),
    name: `Person ${id}`,
  }),
});

const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(issuer, {
  clients: JSON.parse(clients),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // Sentinel reads the identity from the ID token, as Google and Microsoft Entra ID fill it.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'test' }] },
  cookies: { keys: ['test only'] },
  findAccount: (_context, id) => account(id),
  features: { devInteractions: { enabled: true } },
});

provider.listen(Number(port), '127.0.0.1', () => console.log(`ready ${issuer}`));
