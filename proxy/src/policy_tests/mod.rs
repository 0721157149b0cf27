//! The tests that stand in the policy itself, run before anything is served.
//!
//! A test goes the way of every request: its head is checked as bytes and read, its route is looked up in the table, the
//! route says which credentials it takes, and [`crate::decide`] decides by the relations that the test describes. There is
//! no second way to judge a request here, so a test cannot pass by another logic than the one that counts.

mod caller;
mod relations;
mod request;
mod trial;
mod unwatched;

use std::fmt;
use std::time::Duration;

use sentinel_config::Problem;
use sentinel_config::edge::{Config, Expectation, PolicyTest, TestCaller};
use sentinel_core::{Denial, Timestamp};

use crate::decide::Knowledge;
use crate::routes::Table;

pub use caller::{Caller, graph_of, user};
pub use relations::Untrue;
pub use trial::{Attempt, Court, Verdict};
pub use unwatched::{Unwatched, unwatched};

/// The tests that failed, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTests {
    failed: Vec<Problem>,
    all: usize,
}

impl FailedTests {
    /// What is wrong, one by one.
    pub fn problems(&self) -> &[Problem] {
        &self.failed
    }
}

impl fmt::Display for FailedTests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} tests of the policy failed",
            self.failed.len(),
            self.all
        )?;
        for problem in &self.failed {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FailedTests {}

/// Runs the tests of a policy. Returns how many there are.
///
/// # Errors
/// Those that failed, each with its place, what was expected, what came out, and by which route.
pub fn run(config: &Config, table: &Table) -> Result<usize, FailedTests> {
    let failed: Vec<Problem> = config
        .tests
        .iter()
        .filter_map(|test| Some(test.written.problem(failure(config, table, test)?)))
        .collect();
    let all = config.tests.len();
    if failed.is_empty() {
        Ok(all)
    } else {
        Err(FailedTests { failed, all })
    }
}

/// What is wrong, if something is.
fn failure(config: &Config, table: &Table, test: &PolicyTest) -> Option<String> {
    let (attempt, verdict) = match try_out(config, table, test) {
        Ok(both) => both,
        Err(why) => return Some(format!("`{}` cannot be tried: {why}", test.request)),
    };
    let is_met = match test.expect {
        Expectation::Allow => verdict.outcome.is_ok(),
        Expectation::Status(status) => verdict.status() == Some(status),
        Expectation::Denial(denial) => verdict.outcome == Err(denial),
    };
    (!is_met).then(|| {
        let (request, expected) = (&test.request, &test.expect);
        let caller = Described(test.r#as.as_ref());
        format!(
            "`{request}` by {caller}: `{expected}` was expected, and {}",
            Outcome(&attempt, &verdict)
        )
    })
}

fn try_out(config: &Config, table: &Table, test: &PolicyTest) -> Result<(Attempt, Verdict), Untrue> {
    // Any moment does: what a test is about does not change with time.
    let now = Timestamp::UNIX_EPOCH;
    let caller = Caller::of_test(test.r#as.as_ref(), now + Duration::from_mins(1))?;
    let fields: Vec<(String, String)> = test.headers.clone().into_iter().collect();
    let attempt = Attempt::new(&test.request, &fields, caller, &config.session_cookie);
    let graph = graph_of(test.r#as.as_ref(), table.declared_model())?;
    let court = Court {
        table,
        known: Knowledge::whole(&graph, now),
    };
    let verdict = court.judge(&attempt);
    Ok((attempt, verdict))
}

/// What came out, and why.
struct Outcome<'a>(&'a Attempt, &'a Verdict);

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(attempt, verdict) = self;
        match (verdict.outcome, verdict.status()) {
            (Err(denial), Some(status)) => write!(f, "it is refused with {status} (`{denial}`)"),
            _ => f.write_str("it is let through"),
        }?;
        match &verdict.route {
            Some(route) => match route.asks_for() {
                Some(demands) => write!(f, " by the route `{}`, which asks for {demands}", route.name()),
                None => write!(f, " by the route `{}`, which is public", route.name()),
            },
            None if attempt.request().is_ok() => f.write_str(": no route is for it"),
            None => f.write_str(" before any route is looked at"),
        }?;
        if verdict.outcome == Err(Denial::ModelMismatch) {
            f.write_str(": to judge relations of a service, name the file with its model under `models`")?;
        }
        Ok(())
    }
}

/// A caller in words.
struct Described<'a>(Option<&'a TestCaller>);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(caller) = self.0 else {
            return f.write_str("nobody");
        };
        let mut words = Vec::new();
        if let Some(user) = &caller.user {
            words.push(match user.role {
                Some(role) => format!("a user (role {role}, token {})", user.token),
                None => format!("a user who is no member (token {})", user.token),
            });
        }
        if let Some(issuer) = &caller.issuer {
            words.push(format!("a user of `{issuer}`"));
        }
        if let Some(service) = &caller.service {
            words.push(format!("the service `{service}`"));
        }
        f.write_str(&words.join(" with "))
    }
}

#[cfg(test)]
mod tests;
