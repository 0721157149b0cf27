//! Accounts.

use sentinel_access::AccessError;
use sentinel_access::users::NewUser;
use sentinel_store::on_both_backends;

use crate::world::World;

on_both_backends! {
    async fn an_address_belongs_to_one_account_in_whatever_case(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let new = NewUser {
            email: "ALICE@example.com".parse().expect("address"),
            email_verified: true,
            name: "Another".parse().expect("name"),
            avatar_url: None,
            is_admin: false,
        };
        let refused = world.write(async |tx, access| access.users.create(tx, new).await).await;
        assert!(matches!(refused, Err(AccessError::EmailTaken)), "{refused:?}");
        let found = world.read(async |tx, access| access.users.find_by_email(tx, "Alice@Example.com").await).await;
        assert_eq!(found.expect("answer"), Some(alice));
    }

    async fn a_profile_keeps_what_is_not_given(store: TestStore) {
        let world = World::new(store);
        let alice = world.user("alice").await;
        let picture = Some("https://example.com/a.png".to_owned());
        let update = async |name: Option<&str>, picture: Option<String>| {
            let name = name.map(|name| name.parse().expect("name"));
            world
                .write(async |tx, access| access.users.update_profile(tx, alice.id, name, picture).await)
                .await
                .expect("updated")
        };
        let first = update(None, picture.clone()).await;
        assert_eq!((first.name.as_str(), &first.avatar_url), ("alice", &picture));
        let second = update(Some("Alice"), None).await;
        assert_eq!((second.name.as_str(), &second.avatar_url), ("Alice", &picture));
        assert!(second.updated_at > first.updated_at);
        assert_eq!(update(Some("Alice"), None).await, second, "nothing new, nothing written");
        let nobody = uuid::Uuid::nil().into();
        let missing = world.write(async |tx, access| access.users.update_profile(tx, nobody, None, None).await).await;
        assert!(matches!(missing, Err(AccessError::UserNotFound)), "{missing:?}");
    }

    async fn edges_know_who_is_deactivated(store: TestStore) {
        let world = World::new(store);
        let (admin, bob) = (world.user("admin").await, world.user("bob").await);
        let set = async |user, is_active| {
            world
                .write(async |tx, access| access.users.set_active(tx, Some(admin.id), user, is_active).await)
                .await
        };
        assert!(!set(bob.id, false).await.expect("deactivated").is_active);
        assert_eq!(world.facts().await.into_iter().collect::<Vec<_>>(), [format!("disabled-user {}", bob.id)]);
        assert_eq!(world.last_action().await, "user_deactivated");
        let head = world.store.db.head().await.expect("head");
        set(bob.id, false).await.expect("deactivated already");
        assert!(world.store.db.head().await.expect("head") > head, "said again, for who may have missed it");
        assert_eq!(world.activity().await.len(), 1, "and not done again");
        set(bob.id, true).await.expect("activated");
        assert!(world.facts().await.is_empty());
        let own = set(admin.id, false).await;
        assert!(matches!(own, Err(AccessError::OwnAccount)), "{own:?}");
    }

    async fn administrators_do_not_demote_themselves(store: TestStore) {
        let world = World::new(store);
        let (admin, bob) = (world.user("admin").await, world.user("bob").await);
        world
            .write(async |tx, access| access.users.set_admin(tx, None, admin.id, true).await)
            .await
            .expect("promoted");
        let set = async |user, is_admin| {
            world
                .write(async |tx, access| access.users.set_admin(tx, Some(admin.id), user, is_admin).await)
                .await
        };
        assert!(set(bob.id, true).await.expect("promoted").is_admin);
        assert_eq!(world.last_action().await, "user_promoted_admin");
        assert!(!set(bob.id, false).await.expect("demoted").is_admin);
        assert!(matches!(set(admin.id, false).await, Err(AccessError::OwnAccount)));
    }
    async fn the_last_active_administrator_stays(store: TestStore) {
        let world = World::new(store);
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let set_admin = async |user, is_admin| {
            world.write(async |tx, access| access.users.set_admin(tx, None, user, is_admin).await).await
        };
        let set_active = async |user, is_active| {
            world.write(async |tx, access| access.users.set_active(tx, None, user, is_active).await).await
        };
        set_admin(ann.id, true).await.expect("promoted");
        set_admin(bob.id, true).await.expect("promoted");
        set_active(bob.id, false).await.expect("there is Ann");
        for refused in [set_admin(ann.id, false).await, set_active(ann.id, false).await] {
            let refused = refused.expect_err("an inactive one administers nothing");
            assert_eq!(refused.kind(), sentinel_access::ErrorKind::Forbidden);
            assert_eq!(refused.to_string(), "Cannot demote or deactivate the last active administrator");
        }
        set_admin(bob.id, false).await.expect("he was not active");
        set_active(bob.id, true).await.expect("activated");
        set_active(bob.id, false).await.expect("no administrator any more");
    }

    async fn a_profile_that_is_changed_meanwhile_undoes_nothing(store: TestStore) {
        let world = World::new(store);
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        for user in [ann.id, bob.id] {
            world.write(async |tx, access| access.users.set_admin(tx, None, user, true).await).await.expect("promoted");
        }
        let mut tx = world.store.db.write().await.expect("tx");
        world.access.users.set_admin(&mut tx, Some(ann.id), bob.id, false).await.expect("demoted");
        world.access.users.set_active(&mut tx, Some(ann.id), bob.id, false).await.expect("deactivated");
        let (db, users) = (world.store.db.clone(), world.access.users.clone());
        let mut own = tokio::spawn(async move {
            let mut tx = db.begin().await?;
            let name = "Robert".parse().expect("name");
            users.update_profile(&mut tx, bob.id, Some(name), None).await?;
            tx.commit().await?;
            Ok::<_, AccessError>(())
        });
        let waits = tokio::time::timeout(std::time::Duration::from_millis(300), &mut own).await;
        assert!(waits.is_err(), "the row is being changed");
        tx.commit().await.expect("commit");
        own.await.expect("no panic").expect("renamed");
        let after = world.read(async |tx, access| access.users.get(tx, bob.id).await).await.expect("bob");
        assert_eq!((after.name.as_str(), after.is_active, after.is_admin), ("Robert", false, false));
        assert_eq!(world.facts().await.into_iter().collect::<Vec<_>>(), [format!("disabled-user {}", bob.id)]);
    }

    async fn letters_that_look_alike_are_other_people(store: TestStore) {
        let world = World::new(store);
        let kelvin = world.user("kelvin").await;
        let find = async |email: &str| {
            world.read(async |tx, access| access.users.find_by_email(tx, email).await).await.expect("answer")
        };
        assert_eq!(find("KELVIN@EXAMPLE.COM").await, Some(kelvin));
        assert_eq!(find("\u{212A}elvin@example.com").await, None, "the Kelvin sign");
        assert_eq!(find("kelvin@example.com\0").await, None);
    }
}
