//! The fingerprint of RSA keys made by the faulty generator of CVE-2017-15361 (ROCA): such a key can be factored.

/// Primes that divide the generator's constant for every key size.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether the modulus (big endian) has the fingerprint: modulo each of the primes it is a power of 65537. By chance
/// that happens once in 2^30 or so.
pub(crate) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus
        .iter()
        .fold(0, |rest, byte| ((rest << 8) | u32::from(*byte)) % prime)
}

fn is_power_of_65537(rest: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == rest {
            return true;
        }
        power = power * 65_537 % prime;
    }
    false
}

/// A 2051-bit number that is 1 modulo every prime: the product of all primes, shifted, plus 1.
#[cfg(test)]
pub(crate) fn fingerprinted_for_tests() -> Vec<u8> {
    let mut product = vec![1_u8];
    for prime in PRIMES {
        let mut carry = 0;
        for byte in product.iter_mut().rev() {
            carry += u32::from(*byte) * prime;
            *byte = u8::try_from(carry & 0xff).expect("masked");
            carry >>= 8;
        }
        if carry > 0 {
            product.insert(0, u8::try_from(carry).expect("a prime is below 256"));
        }
    }
    product.resize(257, 0);
    *product.last_mut().expect("257 bytes") += 1;
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_found_and_ordinary_keys_do_not_have_it() {
        assert!(is_weak(&fingerprinted_for_tests()));
        let mut other = fingerprinted_for_tests();
        *other.last_mut().expect("257 bytes") += 2;
        assert!(!is_weak(&other));
    }
}
