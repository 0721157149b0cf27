//! Chapter 3: folders in folders. What they mean is the service's own to say, in a model of its own and in tuples, and the
//! edge decides by them.

use anyhow::{Context as _, Result, ensure};

use super::{Cast, Failed, Tour, until};
use crate::http::{Answer, Ask, Secret};
use crate::system::MODEL;

/// The folder that Alice may read by the one around it.
const PLANS: &str = "plans";

/// The header that says how new an answer has to be.
const REVISION: &str = "X-Sentinel-Revision";

/// All of chapter 3.
pub(super) async fn read(tour: &mut Tour<'_>, cast: &Cast) -> Result<(), Failed> {
    tour.step(
        "before the service has a model nobody is let in, and nobody is told no",
        async |step| {
            step.unseen(async || {
                let answer = step.ask(open(cast, &cast.alice.access), 503).await?;
                ensure!(
                    answer.code().as_deref() == Some("model_mismatch"),
                    "another `code` was expected"
                );
                Ok(())
            })
            .await
        },
    )
    .await?;
    tour.step(
        "the service writes its model: who may read a folder may read what is in it",
        async |step| {
            step.ask(cast.api.write_model(&cast.key, MODEL), 201).await?;
            Ok(())
        },
    )
    .await?;
    tour.step(
        "Alice is let into the outer folder, and reads the inner one through the proxy",
        async |step| {
            let tuples = [
                format!("folder:company#workspace@workspace:{}", cast.workspace),
                format!("folder:{PLANS}#workspace@workspace:{}", cast.workspace),
                format!("folder:{PLANS}#parent@folder:company"),
                format!("folder:company#viewer@user:{}", cast.alice.user),
            ];
            let written = step
                .ask(cast.api.change_tuples(&cast.key, &tuples, &[]), 200)
                .await?;
            // What the write has answered is asked for: an edge that has not heard of it waits, and never answers from before.
            let ask = open(cast, &cast.alice.access).header(REVISION, revision(&written)?);
            let (answer, _) = until(step.http, &ask, |answer| answer.status != 503).await?;
            step.show(&ask, &answer);
            answer.expect(200).map(drop)
        },
    )
    .await?;
    let _ = tour
        .step("Bob may not, nor may anybody without a token", async |step| {
            step.unseen(async || {
                let answer = step.ask(open(cast, &cast.bob.access), 403).await?;
                ensure!(
                    answer.code().as_deref() == Some("permission_denied"),
                    "another `code` was expected"
                );
                step.ask(cast.at_proxy(&format!("/folders/{PLANS}")), 401).await?;
                Ok(())
            })
            .await
        })
        .await;
    tour.step(
        "a tuple that lets Bob's group in and out is in force from its revision on",
        async |step| {
            let tuple = [format!("folder:company#viewer@group:{}#member", cast.group)];
            for (writes, deletes, status) in [(&tuple[..], &[][..], 200), (&[][..], &tuple[..], 403)] {
                let change = cast.api.change_tuples(&cast.key, writes, deletes);
                let changed = step.ask(change, 200).await?;
                let ask = open(cast, &cast.bob.access).header(REVISION, revision(&changed)?);
                // Not once the old answer: the new one, or 503 until then.
                let (answer, _) = until(step.http, &ask, |answer| answer.status != 503).await?;
                step.show(&ask, &answer);
                answer.expect(status)?;
            }
            Ok(())
        },
    )
    .await
}

/// A request for the inner folder.
fn open(cast: &Cast, token: &Secret) -> Ask {
    cast.at_proxy(&format!("/folders/{PLANS}")).bearer(token)
}

fn revision(answer: &Answer) -> Result<&str> {
    answer.header(REVISION).context("a write without a revision")
}
