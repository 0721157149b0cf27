//! The same cases through the control plane's HTTP API, as a service writes and asks them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use sentinel_quickstart::http::{Ask, Http, Secret};
use sentinel_quickstart::tour::{Cast, Tour};
use sentinel_tests::whole::Whole;
use serde_json::{Value, json};

use crate::case::{Answer, Case, Question, Triple};
use crate::circle::Circles;
use crate::compare::Outcome;
use crate::{appeal, fga, generate, shrink};

/// How many models are written, one after the other, each as the next version of a service's.
const MODELS: u64 = 50;

/// How many of them one service writes: within a minute it may have only a few new versions.
const MODELS_EACH: u64 = 5;

/// As many as there are on one page; no list of a case is longer.
const PAGE: usize = 1000;

/// A service at the control plane.
struct Service<'s> {
    http: &'s Http,
    url: &'s str,
    key: Secret,
    /// What its last write was answered with: questions are answered by a state that is at least as new.
    revision: Option<String>,
}

impl<'s> Service<'s> {
    async fn register(http: &'s Http, cast: &'s Cast, number: u64) -> Result<Self> {
        let url = &cast.urls.control_plane;
        let name = format!("compared-{number}");
        let ask = Ask::post(format!("{url}/admin/service-apps")).admin(&cast.admin);
        let ask = ask.json(json!({ "name": name, "service_name": name }));
        let answer = http.send(&ask).await?.expect(201)?;
        Ok(Self {
            http,
            url,
            key: Secret::new("the service's key", answer.text("api_key")?),
            revision: None,
        })
    }

    async fn send(&self, ask: Ask) -> Result<sentinel_quickstart::http::Answer> {
        let mut ask = ask.service_key(&self.key);
        if let Some(revision) = &self.revision {
            ask = ask.header("X-Sentinel-Revision", revision);
        }
        self.http.send(&ask).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<sentinel_quickstart::http::Answer> {
        self.send(Ask::post(format!("{}{path}", self.url)).json(body))
            .await
    }

    async fn write(&mut self, ask: Ask, status: u16) -> Result<()> {
        let answer = self.send(ask).await?.expect(status)?;
        let revision = answer.header("X-Sentinel-Revision");
        self.revision = Some(revision.context("a write without a revision")?.to_owned());
        Ok(())
    }

    /// Takes the tuples of one case away, and puts the model and the tuples of the next one there.
    async fn change(&mut self, before: &[Triple], case: &Case) -> Result<()> {
        let tuples = format!("{}/authz/tuples", self.url);
        let bodies = |triples: &[Triple]| -> Vec<Value> {
            let body = |triple: &Triple| json!({ "object": triple.object, "relation": triple.relation, "subject": triple.subject });
            triples.iter().map(body).collect()
        };
        if !before.is_empty() {
            let body = json!({ "deletes": bodies(before) });
            self.write(Ask::post(&tuples).json(body), 200).await?;
        }
        let model = Ask::post(format!("{}/authz/models", self.url)).text("text/plain", &case.text);
        self.write(model, 201).await?;
        let body = json!({ "writes": bodies(&case.tuples) });
        self.write(Ask::post(&tuples).json(body), 200).await
    }

    async fn answer(&self, question: &Question) -> Result<Answer> {
        let (path, body, list) = match question {
            Question::Check {
                object,
                relation,
                subject,
            } => (
                "/authz/check",
                json!({ "object": object, "relation": relation, "subject": subject }),
                None,
            ),
            Question::Objects {
                kind,
                relation,
                subject,
            } => (
                "/authz/list-objects",
                json!({ "object_type": kind, "relation": relation, "subject": subject, "limit": PAGE }),
                Some("objects"),
            ),
            Question::Subjects {
                object,
                relation,
                kind,
                userset,
            } => (
                "/authz/list-subjects",
                json!({
                    "object": object, "relation": relation, "subject_type": kind,
                    "subject_relation": userset, "limit": PAGE,
                }),
                Some("subjects"),
            ),
        };
        let answer = self.post(path, body).await?.expect(200)?;
        ensure!(answer.header("X-Sentinel-Revision").is_some(), "no revision");
        let body = answer.json()?;
        let Some(field) = list else {
            let allowed = body.get("allowed").and_then(Value::as_bool);
            return Ok(Answer::Holds(allowed.context("no `allowed`")?));
        };
        ensure!(
            body["undecided"] == json!([]) && body["cursor"].is_null(),
            "{body}"
        );
        let listed: BTreeSet<String> = serde_json::from_value(body[field].clone())?;
        Ok(Answer::List(listed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_gives_a_service_the_same_answers() -> Result<()> {
    let whole = Whole::on_sqlite().await?;
    let cast = Tour::silent(whole.http.clone(), &whole.system).stage().await?;
    let mut service = Service::register(&whole.http, &cast, 0).await?;
    // Random models without Sentinel's types in them, and without circles through `but not`.
    let numbers = (0..).filter(|number| number % 10 < 7);
    let cases = numbers.map(|number| generate::case(11, number));
    let (mut before, mut asked, mut allowed, mut models) = (Vec::new(), 0, 0, 0);
    let (mut lists, mut excused) = (0, 0);
    for case in cases {
        if models == MODELS {
            break;
        }
        // Some models OpenFGA does not take: those have nothing to be compared with.
        let dir = tempfile::tempdir()?;
        let nothing = Case {
            questions: Vec::new(),
            ..case.clone()
        };
        if fga::ask(dir.path(), &[(&nothing, &[])]).is_err() {
            continue;
        }
        if models > 0 && models % MODELS_EACH == 0 {
            service = Service::register(&whole.http, &cast, models).await?;
            before.clear();
        }
        models += 1;
        service.change(&before, &case).await?;
        before.clone_from(&case.tuples);
        let mut answers = Vec::new();
        for question in &case.questions {
            let answer = service.answer(question).await;
            answers.push(answer.with_context(|| format!("{question}\n{}", case.text))?);
        }
        let verdict =
            fga::ask(dir.path(), &[(&case, &answers)]).map_err(|refused| anyhow::anyhow!(refused.error))?;
        let circles = Circles::of(&case);
        for (question, ours) in case.questions.iter().zip(&answers) {
            asked += 1;
            allowed += u32::from(ours.holds());
            let theirs = fga::answer(&verdict, &case, question, ours);
            let outcome = appeal::judge(&case, &circles, question, ours, &theirs);
            lists += u64::from(!matches!(question, Question::Check { .. }));
            excused += u64::from(outcome == Outcome::AgainstTheirCheck);
            ensure!(
                outcome != Outcome::Different,
                "{}",
                shrink::unequal(&case, question, ours, "OpenFGA", &theirs)
            );
        }
    }
    ensure!(
        excused <= appeal::bearable(lists),
        "{excused} of {lists} lists against OpenFGA's own checks"
    );
    ensure!(
        asked > 1000 && allowed > 100,
        "{asked} questions, {allowed} allowed"
    );
    Ok(())
}
