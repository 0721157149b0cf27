//! The activity log.

use std::time::Duration;

use sentinel_access::activity::{Action, Entry, Filter, Page, Record, Target, TargetKind};
use sentinel_core::Clock as _;
use sentinel_store::on_both_backends;

use crate::world::World;

async fn list(world: &World, filter: &Filter, page: u32, page_size: u32) -> Page<Record> {
    world
        .read(async |tx, access| access.activity.list(tx, filter, page, page_size).await)
        .await
        .expect("page")
}

on_both_backends! {
    async fn rows_are_filtered_and_paged_newest_first(store: TestStore) {
        let world = World::new(store);
        let (alice, bob) = (world.user("alice").await, world.user("bob").await);
        let acme = world.workspace("acme", alice.id).await;
        let other = world.workspace("other", bob.id).await;
        world.store.clock.advance(Duration::from_hours(1));
        let later = world.store.clock.now();
        world.group(acme, "eng", &[]).await;
        world.group(acme, "ops", &[]).await;

        let all = list(&world, &Filter::default(), 1, 2).await;
        assert_eq!((all.total, all.items.len()), (4, 2));
        let rest = list(&world, &Filter::default(), 2, 2).await;
        let actions: Vec<&str> = all.items.iter().chain(&rest.items).map(|row| row.action.as_str()).collect();
        assert_eq!(actions, ["group_created", "group_created", "workspace_created", "workspace_created"]);
        assert!(list(&world, &Filter::default(), 3, 2).await.items.is_empty());

        let matches = async |filter: Filter| list(&world, &filter, 1, 20).await.total;
        let none = Filter::default;
        assert_eq!(matches(Filter { action: Some(Action::WorkspaceCreated), ..none() }).await, 2);
        assert_eq!(matches(Filter { target_type: Some(TargetKind::Group), ..none() }).await, 2);
        assert_eq!(matches(Filter { workspace: Some(other), ..none() }).await, 1);
        assert_eq!(matches(Filter { actor: Some(bob.id), ..none() }).await, 1);
        assert_eq!(matches(Filter { from: Some(later), ..none() }).await, 2);
        assert_eq!(matches(Filter { to: Some(later), ..none() }).await, 2);
        assert_eq!(matches(Filter { from: Some(later), workspace: Some(other), ..none() }).await, 0);

        let made = &list(&world, &Filter { workspace: Some(other), ..none() }, 1, 1).await.items[0];
        assert_eq!(made.actor_name.as_deref(), Some("bob"));
        assert_eq!(made.actor_email.as_deref(), Some("bob@example.com"));
        assert_eq!(made.target_label.as_deref(), Some("other"));
    }

    async fn what_is_gone_keeps_its_ids(store: TestStore) {
        let world = World::new(store);
        let somebody = uuid::Uuid::from_u128(1);
        let entry = Entry {
            action: Action::LoginFailed,
            actor: Some(somebody.into()),
            target: Target { kind: TargetKind::System, id: uuid::Uuid::nil() },
            workspace: Some(somebody.into()),
            detail: None,
        };
        world.write(async |tx, access| access.activity.record(tx, entry).await).await.expect("recorded");
        let row = &world.activity().await[0];
        assert_eq!((row.actor, row.workspace), (Some(somebody.into()), Some(somebody.into())));
        assert_eq!((&row.actor_name, &row.detail, &row.target_label), (&None, &None, &None));
    }
}
