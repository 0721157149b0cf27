//! Chapter 6: a member is removed, a session is ended; both people come back afterwards.

use anyhow::Result;

use super::people::exchange;
use super::step::millis;
use super::{Cast, Failed, Step, Tour, until};
use crate::api::Grantee;
use crate::provider::people::{ALICE, BOB, Person};
use crate::scene::{Session, arrive, click};

/// All of chapter 5.
pub(super) async fn take_back(tour: &mut Tour<'_>, cast: Cast) -> Result<Cast, Failed> {
    let _ = tour
        .step(
            "Bob is removed from the workspace, and his token is refused at the edge before it expires",
            async |step| {
                let read = cast.read(&cast.shared, &cast.bob.access);
                step.ask(read.clone(), 200).await?;
                step.ask(
                    cast.api
                        .remove_member(&cast.alice.access, &cast.workspace, &cast.bob.user),
                    204,
                )
                .await?;
                let (answer, took) = until(step.http, &read, |answer| answer.status != 200).await?;
                step.show(&read, &answer);
                step.note(format_args!(
                    "from the write's answer to the first refusal: {}",
                    millis(took)
                ));
                answer.expect(401)?;
                Ok(())
            },
        )
        .await;
    let _ = tour
        .step(
            "Alice logs out, and her token is refused at the edge",
            async |step| {
                let read = cast.read(&cast.private, &cast.alice.access);
                step.ask(read.clone(), 200).await?;
                step.ask(cast.api.logout(&cast.alice.access), 200).await?;
                let (answer, took) = until(step.http, &read, |answer| answer.status != 200).await?;
                step.show(&read, &answer);
                step.note(format_args!(
                    "from the write's answer to the first refusal: {}",
                    millis(took)
                ));
                answer.expect(401)?;
                step.ask(cast.api.refresh(&cast.alice.refresh), 401).await?;
                Ok(())
            },
        )
        .await;
    tour.step("Alice signs in again, and brings Bob back", async |step| {
        let mut cast = cast;
        cast.alice = come_back(step, &cast, ALICE).await?;
        let token = &cast.alice.access;
        step.ask(cast.api.invite(token, &cast.workspace, BOB.email, "viewer"), 201)
            .await?;
        step.ask(
            cast.api
                .join_group(token, &cast.workspace, &cast.group, &cast.bob.user),
            201,
        )
        .await?;
        let grantee = Grantee::Group(&cast.group);
        step.ask(
            cast.api.share(&cast.key, token, &cast.shared.permission, grantee),
            201,
        )
        .await?;
        cast.bob = come_back(step, &cast, BOB).await?;
        let read = cast.read(&cast.shared, &cast.bob.access);
        let (answer, _) = until(step.http, &read, |answer| answer.status == 200).await?;
        step.show(&read, &answer);
        Ok(cast)
    })
    .await
}

/// Another login of somebody who was here before.
async fn come_back(step: &Step<'_>, cast: &Cast, person: Person) -> Result<Session> {
    let arrived = arrive(step.http, &cast.door, click(person)).await?;
    step.note(format_args!(
        "{} signed in, {} requests",
        person.name,
        arrived.exchanges.len()
    ));
    exchange(step, &cast.api, &arrived, &cast.workspace, person).await
}
