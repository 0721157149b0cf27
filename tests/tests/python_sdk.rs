//! The published Python client against the control plane, with the certified OpenID provider for the people: services
//! that are written with it run as processes, and `python_sdk/driver.py` calls everything that the client offers. What it
//! expects is written there; here is the world in which it does.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::api::Api;
use sentinel_quickstart::http::{Ask, Http, Secret};
use sentinel_quickstart::provider::people::OPERATOR;
use sentinel_quickstart::scene::{Door, admin_login, arrive, random_text};
use sentinel_quickstart::system::PROVIDER;
use sentinel_tests::node::{ANOTHER_APP, APP, NodeProvider, sign_in_as};
use sentinel_tests::python::{Program, Service};
use sentinel_tests::whole::Whole;
use serde_json::{Value, json};

/// Who there is, with role and workspace.
const PEOPLE: [(&str, &str, &str); 5] = [
    ("ann", "owner", "acme"),
    ("ed", "editor", "acme"),
    ("vic", "viewer", "acme"),
    ("dan", "editor", "acme"),
    ("nora", "owner", "other"),
];

/// A page of the service in authz mode.
const ORIGIN: &str = "https://notes.example.com";

/// A system with people, whose service apps do not run yet.
struct World {
    whole: Whole,
    provider: NodeProvider,
    admin: Secret,
    workspaces: BTreeMap<&'static str, String>,
    people: BTreeMap<&'static str, Value>,
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

impl World {
    async fn make(whole: Whole, provider: NodeProvider) -> Result<Self> {
        let control_plane = &whole.system.urls.control_plane;
        let api = Api::at(control_plane);
        let http = &whole.http;
        let (admin, _) = admin_login(http, control_plane, PROVIDER, sign_in_as(OPERATOR.email)).await?;
        let mut workspaces = BTreeMap::new();
        for (slug, name) in [("acme", "Acme"), ("other", "Other")] {
            let made = http.send(&api.create_workspace(&admin, name, slug)).await?;
            workspaces.insert(slug, made.expect(201)?.text("id")?);
        }
        let redirect_uri = format!("{}/signed-in", whole.system.urls.proxy);
        let app = http
            .send(&api.create_client_app(&admin, "Docs", &redirect_uri))
            .await?
            .expect(201)?;
        let door = Door {
            control_plane: control_plane.clone(),
            provider: PROVIDER.to_owned(),
            client_app: app.text("id")?,
            redirect_uri,
        };
        let mut world = Self {
            provider,
            admin,
            workspaces,
            people: BTreeMap::new(),
            whole,
        };
        for (name, role, workspace) in PEOPLE {
            let person = world.welcome(&api, &door, name, role, workspace).await?;
            world.people.insert(name, person);
        }
        Ok(world)
    }

    /// Signs somebody in, in both ways: at Sentinel for an access token, at an application for an ID token.
    async fn welcome(&self, api: &Api, door: &Door, name: &str, role: &str, slug: &str) -> Result<Value> {
        let http = &self.whole.http;
        let email = email(name);
        let workspace = self.workspaces.get(slug).context("a workspace")?;
        let arrived = arrive(http, door, sign_in_as(&email)).await?;
        // The login made the account.
        http.send(&api.appoint(&self.admin, workspace, &email, role))
            .await?
            .expect(201)?;
        let tokens = http
            .send(&api.token(&arrived.code, &arrived.verifier, workspace))
            .await?
            .expect(200)?;
        let access = Secret::new("access token", tokens.text("access_token")?);
        let me = http.send(&api.me(&access)).await?.expect(200)?;
        let nonce = random_text();
        Ok(json!({
            "id": me.text("id")?,
            "email": email,
            "name": me.text("name")?,
            "role": role,
            "workspace": workspace,
            "access": access.expose(),
            "refresh": tokens.text("refresh_token")?,
            "id_token": self.provider.sign_in_to_app(http, APP, &email, &nonce).await?,
            "nonce": nonce,
        }))
    }

    /// Registers a service app; returns what the services' programs and the driver are told about it.
    async fn service_app(&self, name: &str, origins: &[&str], audiences: &[&str]) -> Result<Value> {
        let url = format!("{}/admin/service-apps", self.whole.system.urls.control_plane);
        let ask = Ask::post(url).admin(&self.admin).json(json!({
            "name": name,
            "service_name": name,
            "allowed_origins": origins,
            "allowed_idp_audiences": audiences,
        }));
        let made = self.whole.http.send(&ask).await?.expect(201)?;
        Ok(json!({"id": made.text("id")?, "name": name, "key": made.text("api_key")?, "url": null}))
    }

    async fn start(&self, app: &mut Value, mode: &str, dir: &Path) -> Result<Service> {
        let name = app["name"].as_str().context("a name")?.to_owned();
        let settings = json!({
            "mode": mode,
            "control_plane": self.whole.system.urls.control_plane,
            "service_name": name,
            "service_key": app["key"],
            "allowed_workspaces": [self.workspaces["acme"]],
            "provider": PROVIDER,
            "idp_jwks_url": self.idp_jwks_url(),
            "idp_audience": APP,
            "idp_issuer": self.provider.outside.issuer,
            "actions": [
                {"action": format!("{name}:publish"), "description": "Make public"},
                {"action": format!("{name}:archive")},
            ],
        });
        let service = Service::start(&self.whole.http, &name, settings, dir).await?;
        app["url"] = service.url.as_str().into();
        Ok(service)
    }

    fn idp_jwks_url(&self) -> String {
        format!("{}/jwks", self.provider.outside.issuer)
    }

    /// Starts the services and drives them.
    async fn drive(&self) -> Result<()> {
        let dir = tempfile::tempdir()?;
        let dir = dir.path();
        let mut docs = self.service_app("docs", &[], &[]).await?;
        let mut notes = self.service_app("notes", &[ORIGIN], &[APP]).await?;
        let mail = self.service_app("mail", &[], &[]).await?;
        let services = tokio::try_join!(
            self.start(&mut docs, "proxy", dir),
            self.start(&mut notes, "authz", dir)
        )?;
        let http = &self.whole.http;
        let (ann, unverified) = (email("ann"), email("unverified"));
        let scene = json!({
            "control_plane": self.whole.system.urls.control_plane,
            "admin_cookie": self.admin.expose(),
            "signing_key": std::fs::read_to_string(&self.whole.system.signing_key)?,
            "provider": PROVIDER,
            "issuer": self.provider.outside.issuer,
            "idp_jwks_url": self.idp_jwks_url(),
            "own_audience": self.provider.outside.client.id,
            "app_audience": APP,
            "workspace": self.workspaces["acme"],
            "workspace_slug": "acme",
            "other_workspace": self.workspaces["other"],
            "people": self.people,
            "services": {"docs": docs, "notes": notes, "mail": mail},
            "foreign_id_token": self.provider.sign_in_to_app(http, ANOTHER_APP, &ann, "").await?,
            "own_id_token": self.provider.sign_in_to_own_client(http, &ann, "").await?,
            "unverified_id_token": self.provider.sign_in_to_app(http, APP, &unverified, "").await?,
        });
        let mut driver = Program::start("driver.py", "driver", &scene, dir)?;
        let ended = driver.end().await;
        ensure!(
            matches!(&ended, Ok(status) if status.success()),
            "the driver: {ended:?}\n{}{}{}{}",
            self.whole.logs(),
            services.0.program.output(),
            services.1.program.output(),
            driver.output()
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_python_client_finds_everything_that_it_calls() -> Result<()> {
    let provider = NodeProvider::start(&Http::new()?).await?;
    let whole = Whole::with_provider(provider.outside.clone(), provider.control_plane_port).await?;
    World::make(whole, provider).await?.drive().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_python_client_finds_it_on_postgresql_and_redis() -> Result<()> {
    let provider = NodeProvider::start(&Http::new()?).await?;
    let whole =
        Whole::with_provider_on_postgres(provider.outside.clone(), provider.control_plane_port).await?;
    World::make(whole, provider).await?.drive().await
}
