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
        assert_eq!(world.store.db.head().await.expect("head"), head, "nothing changed, so no revision");
        set(bob.id, true).await.expect("activated");
        assert!(world.facts().await.is_empty());
        let own = set(admin.id, false).await;
        assert!(matches!(own, Err(AccessError::OwnAccount)), "{own:?}");
    }

    async fn administrators_do_not_demote_themselves(store: TestStore) {
        let world = World::new(store);
        let (admin, bob) = (world.user("admin").await, world.user("bob").await);
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
}
