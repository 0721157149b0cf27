//! The data that is asked about: one workspace with many members, groups, documents and shares, all made through the API
//! as its clients would make them, and every member signed in.

use anyhow::{Context as _, Result};
use sentinel_quickstart::api::{DOCUMENT, Grantee, SERVICE};
use sentinel_quickstart::http::{Ask, Http, Secret};
use sentinel_quickstart::system::Urls;
use serde_json::json;
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::plane::Tenant;

/// How many requests are under way at the same time while data is made.
const AT_ONCE: usize = 8;

/// In how many groups each member is.
const GROUPS_OF_MEMBER: usize = 2;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Members of the workspace besides its administrator, at most 499.
    pub members: usize,
    /// Groups.
    pub groups: usize,
    /// Registered documents.
    pub documents: usize,
}

impl Scale {
    /// What the figures are measured with.
    pub const USUAL: Self = Self {
        members: 200,
        groups: 20,
        documents: 10_000,
    };

    /// Enough to see that everything works.
    pub const SMALL: Self = Self {
        members: 4,
        groups: 2,
        documents: 20,
    };
}

/// A signed-in member.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// His place in the list.
    pub(super) number: usize,
    user: String,
    pub(super) access: Secret,
    pub(super) refresh: Secret,
}

/// A registered document and who may see it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) id: String,
    owner: usize,
    for_all: bool,
    group: Option<usize>,
    member: Option<usize>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    /// The service's key.
    pub(super) key: Secret,
    pub(super) documents: Vec<Document>,
    members: Vec<Member>,
    groups: usize,
}

impl World {
    /// Makes everything. The same scale gives the same data, but for the ids that the control plane chooses.
    pub(super) async fn make(http: &Http, urls: &Urls, scale: Scale) -> Result<Self> {
        let maker = Maker::begin(http, urls).await?;
        eprintln!("signing in {} people", scale.members + 1);
        let leader = maker.sign_in(0, "admin").await?;
        let members = {
            let maker = maker.clone();
            each(0..scale.members, move |number| {
                let maker = maker.clone();
                async move {
                    maker
                        .sign_in(number + 1, if number % 2 == 0 { "viewer" } else { "editor" })
                        .await
                }
            })
        }
        .await?;
        let members: Vec<Member> = members
            .into_iter()
            .enumerate()
            .map(|(number, member)| Member { number, ..member })
            .collect();
        let groups = maker.groups(&leader, &members, scale.groups).await?;
        eprintln!("registering {} documents", scale.documents);
        let documents = plan_documents(scale);
        maker.register(&documents, &members, &groups).await?;
        Ok(Self {
            key: maker.tenant.key,
            documents,
            members,
            groups: scale.groups,
        })
    }

    /// The members, shared out over so many connections. Every connection gets at least one.
    pub(super) fn parts(&self, connections: usize) -> Vec<Vec<Member>> {
        let size = self.members.len().div_ceil(connections.max(1)).max(1);
        self.members.chunks(size).map(<[Member]>::to_vec).collect()
    }

    /// Whether the member may see the document: what the control plane must answer.
    pub(super) fn may_view(&self, member: &Member, document: &Document) -> bool {
        let number = member.number;
        document.owner == number
            || document.for_all
            || document.member == Some(number)
            || document
                .group
                .is_some_and(|group| groups_of(number, self.groups).contains(&group))
    }
}

/// The groups that a member is in.
fn groups_of(member: usize, groups: usize) -> Vec<usize> {
    let first = member.checked_rem(groups).unwrap_or_default();
    let second = (member / 3 + 1).checked_rem(groups).unwrap_or_default();
    let mut of: Vec<usize> = [first, second]
        .into_iter()
        .take(GROUPS_OF_MEMBER.min(groups))
        .collect();
    of.dedup();
    of
}

/// A quarter of the documents is for the whole workspace, a fifth is shared with a group, a tenth with a member.
fn plan_documents(scale: Scale) -> Vec<Document> {
    let mut dice = Dice(1);
    (0..scale.documents)
        .map(|_| Document {
            id: dice.uuid(),
            owner: dice.below(scale.members),
            for_all: dice.below(4) == 0,
            group: (dice.below(5) == 0).then(|| dice.below(scale.groups)),
            member: (dice.below(10) == 0).then(|| dice.below(scale.members)),
        })
        .collect()
}

/// Whoever makes the data.
#[derive(Debug, Clone)]
struct Maker {
    tenant: Tenant,
    url: String,
}

impl Maker {
    async fn begin(http: &Http, urls: &Urls) -> Result<Self> {
        Ok(Self {
            tenant: Tenant::register(http, urls).await?,
            url: urls.control_plane.clone(),
        })
    }

    async fn sign_in(&self, number: usize, role: &str) -> Result<Member> {
        let person = self.tenant.sign_in(number, role).await?;
        Ok(Member {
            number,
            user: person.user,
            access: person.access,
            refresh: person.refresh,
        })
    }

    async fn groups(&self, leader: &Member, members: &[Member], count: usize) -> Result<Vec<String>> {
        let mut groups = Vec::new();
        for number in 0..count {
            let (api, workspace) = (&self.tenant.api, &self.tenant.workspace);
            let ask = api.create_group(&leader.access, workspace, &format!("Group {number}"));
            groups.push(self.tenant.ask(ask, 201).await?.text("id")?);
        }
        for member in members {
            for group in groups_of(member.number, count) {
                let group = groups.get(group).context("no such group")?;
                let (api, workspace) = (&self.tenant.api, &self.tenant.workspace);
                let ask = api.join_group(&leader.access, workspace, group, &member.user);
                self.tenant.ask(ask, 201).await?;
            }
        }
        Ok(groups)
    }

    async fn register(&self, documents: &[Document], members: &[Member], groups: &[String]) -> Result<()> {
        let asks = documents.iter().map(|document| {
            let owner = members.get(document.owner).context("no such member")?.clone();
            let member = document
                .member
                .and_then(|number| members.get(number))
                .map(|member| member.user.clone());
            let group = document.group.and_then(|number| groups.get(number)).cloned();
            Ok((document.clone(), owner, member, group))
        });
        let asks = asks.collect::<Result<Vec<_>>>()?;
        let maker = self.clone();
        each(asks, move |(document, owner, member, group)| {
            let maker = maker.clone();
            async move {
                let tenant = &maker.tenant;
                let registered = tenant.ask(maker.registration(&document, &owner), 201).await?;
                let permission = registered.text("id")?;
                let grantees = [
                    member.as_deref().map(Grantee::User),
                    group.as_deref().map(Grantee::Group),
                ];
                for grantee in grantees.into_iter().flatten() {
                    let ask = tenant.api.share(&tenant.key, &owner.access, &permission, grantee);
                    tenant.ask(ask, 201).await?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(())
    }

    fn registration(&self, document: &Document, owner: &Member) -> Ask {
        let visibility = if document.for_all { "workspace" } else { "private" };
        Ask::post(format!("{}/permissions/register", self.url))
            .service_key(&self.tenant.key)
            .json(json!({
                "service_name": SERVICE,
                "resource_type": DOCUMENT,
                "resource_id": document.id,
                "workspace_id": self.tenant.workspace,
                "owner_id": owner.user,
                "visibility": visibility,
            }))
    }
}

/// Does `work` for every item, several at a time. The results are in the order of the items.
async fn each<T, R, F>(items: impl IntoIterator<Item = T>, work: impl Fn(T) -> F) -> Result<Vec<R>>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut results = Vec::new();
    for (number, item) in items.into_iter().enumerate() {
        if running.len() >= AT_ONCE
            && let Some(ended) = running.join_next().await
        {
            results.push(ended.context("a task broke")??);
        }
        let result = work(item);
        running.spawn(async move { anyhow::Ok((number, result.await?)) });
    }
    while let Some(ended) = running.join_next().await {
        results.push(ended.context("a task broke")??);
    }
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scale_gives_the_same_documents() {
        let ids = || -> Vec<String> {
            plan_documents(Scale::SMALL)
                .into_iter()
                .map(|document| document.id)
                .collect()
        };
        assert_eq!(ids(), ids());
        let distinct: std::collections::BTreeSet<String> = ids().into_iter().collect();
        assert_eq!(distinct.len(), Scale::SMALL.documents);
        for id in ids() {
            assert_eq!((id.len(), id.get(14..15)), (36, Some("4")), "{id}");
            assert!(matches!(id.as_bytes().get(19), Some(b'8'..=b'b')), "{id}");
        }
    }

    #[test]
    fn members_are_in_groups_that_exist() {
        for member in 0..50 {
            let groups = groups_of(member, 7);
            assert!((1..=GROUPS_OF_MEMBER).contains(&groups.len()), "{groups:?}");
            assert!(groups.iter().all(|group| *group < 7), "{groups:?}");
        }
        assert!(groups_of(3, 0).is_empty());
    }

    #[tokio::test]
    async fn results_keep_the_order_of_the_items() {
        let turned = each(0..20_u64, |number| async move {
            for _ in number..20 {
                tokio::task::yield_now().await;
            }
            Ok(number)
        });
        assert_eq!(turned.await.expect("all"), (0..20).collect::<Vec<_>>());
        let failed = each(0..20, |number| async move {
            anyhow::ensure!(number != 7, "seven");
            Ok(())
        });
        assert_eq!(failed.await.expect_err("one fails").to_string(), "seven");
    }
}
