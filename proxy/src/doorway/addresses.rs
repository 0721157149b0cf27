//! How many connections each client address has open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use sentinel_core::network;

/// Counts connections by address. Asked once for each connection, and never for a request.
#[derive(Debug)]
pub(super) struct Addresses {
    open: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
    /// Who may open as many as he likes: many clients come from his address.
    exempt: Arc<[IpNet]>,
}

/// One connection of an address; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    addresses: Arc<Addresses>,
    address: Option<IpAddr>,
}

impl Addresses {
    /// With at most `most` connections for an address that is in none of the networks of `exempt`.
    pub(super) fn new(most: usize, exempt: Arc<[IpNet]>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            most,
            exempt,
        })
    }

    /// Counts one more connection from `peer`; `None` if he has as many as he may.
    pub(super) fn count(self: &Arc<Self>, peer: IpAddr) -> Option<Counted> {
        let peer = peer.to_canonical();
        let address = if self.exempt.iter().any(|network| network.contains(&peer)) {
            None
        } else {
            let client = network::of_client(peer);
            let mut open = self.open();
            let count = open.entry(client).or_default();
            if *count >= self.most {
                return None;
            }
            *count = count.saturating_add(1);
            Some(client)
        };
        Some(Counted {
            addresses: Arc::clone(self),
            address,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing that holds the lock can panic between two changes.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut open = self.addresses.open();
        let left = open.get(&address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.remove(&address);
        } else {
            open.insert(address, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(most: usize) -> Arc<Addresses> {
        let exempt = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        Addresses::new(most, exempt.into())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let addresses = addresses(2);
        let first = addresses.count(ip("192.0.2.1")).expect("first");
        let _second = addresses.count(ip("192.0.2.1")).expect("second");
        assert!(addresses.count(ip("192.0.2.1")).is_none());
        assert!(addresses.count(ip("192.0.2.2")).is_some(), "somebody else");
        drop(first);
        assert!(addresses.count(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn one_client_has_one_share_however_he_spells_his_address() {
        let addresses = addresses(1);
        let _v4 = addresses.count(ip("192.0.2.1")).expect("one");
        assert!(addresses.count(ip("::ffff:192.0.2.1")).is_none());
        let _v6 = addresses.count(ip("2001:db8:1:2::1")).expect("one");
        assert!(addresses.count(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(addresses.count(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn a_proxy_in_front_is_many_clients() {
        let addresses = addresses(1);
        for proxy in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            let both = [addresses.count(ip(proxy)), addresses.count(ip(proxy))];
            assert!(both.iter().all(Option::is_some), "{proxy}");
        }
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let addresses = addresses(2);
        drop((addresses.count(ip("192.0.2.1")), addresses.count(ip("192.0.2.1"))));
        assert!(addresses.open().is_empty());
    }
}
