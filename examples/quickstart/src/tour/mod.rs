//! The tour: the product's main job, step by step, each a real HTTP request over a socket that is printed with what was
//! asked, what came back, and how long it took.

mod attacks;
mod cast;
mod documents;
mod folders;
mod freshness;
mod outage;
mod people;
mod revocation;
mod services;
mod step;

use anyhow::Result;

pub use cast::{Cast, Document};
pub use freshness::{Spread, until};
pub use step::{Failed, Step};

use crate::http::Http;
use crate::system::System;

/// A tour through a running system.
#[derive(Debug)]
pub struct Tour<'a> {
    /// The client that all requests are made with.
    pub http: Http,
    /// What is toured.
    pub system: &'a System,
    printed: bool,
    passed: u32,
    failed: u32,
}

impl<'a> Tour<'a> {
    /// A tour that prints its steps.
    pub fn aloud(http: Http, system: &'a System) -> Self {
        Self {
            http,
            system,
            printed: true,
            passed: 0,
            failed: 0,
        }
    }

    /// A tour that prints nothing, for tests that begin where one of its chapters ends.
    pub fn silent(http: Http, system: &'a System) -> Self {
        Self {
            printed: false,
            ..Self::aloud(http, system)
        }
    }

    /// Takes one step. What it returns is handed on; why it failed was printed.
    ///
    /// # Errors
    /// The step failed.
    pub async fn step<T>(
        &mut self,
        title: &str,
        body: impl AsyncFnOnce(&mut Step<'_>) -> Result<T>,
    ) -> Result<T, Failed> {
        let number = self.passed + self.failed + 1;
        if self.printed {
            println!("\n{number:>2}. {title}");
        }
        let mut step = Step::new(&self.http, self.system, self.printed);
        match body(&mut step).await {
            Ok(value) => {
                self.passed += 1;
                Ok(value)
            }
            Err(error) => {
                self.failed += 1;
                if self.printed {
                    println!("    FAILED: {error:#}");
                }
                Err(Failed(format!("{title}: {error:#}")))
            }
        }
    }

    /// Sets the stage: people, workspace, group, apps, documents.
    ///
    /// # Errors
    /// A step failed.
    pub async fn stage(&mut self) -> Result<Cast, Failed> {
        let cast = people::meet(self).await?;
        documents::register(self, cast).await
    }

    /// Takes the whole tour. `None` if the stage could not be set.
    pub async fn take(&mut self) -> Option<Cast> {
        let cast = self.whole().await;
        println!("\n{} steps passed, {} failed", self.passed, self.failed);
        cast.ok()
    }

    /// Whether no step has failed so far.
    pub fn all_passed(&self) -> bool {
        self.failed == 0
    }

    async fn whole(&mut self) -> Result<Cast, Failed> {
        self.title("People, a workspace, apps");
        let cast = people::meet(self).await?;
        self.title("A private document, and who may read it");
        let cast = documents::register(self, cast).await?;
        documents::read(self, &cast).await?;
        freshness::rounds(self, &cast).await?;
        self.title("Folders, by the service's own rules");
        folders::read(self, &cast).await?;
        self.title("Services");
        services::call(self, &cast).await;
        self.title("What must not get through");
        attacks::try_all(self, &cast).await;
        self.title("Taking it back");
        let cast = revocation::take_back(self, cast).await?;
        self.title("Without the control plane");
        outage::survive(self, &cast).await?;
        Ok(cast)
    }

    fn title(&self, title: &str) {
        if self.printed {
            println!("\n== {title}");
        }
    }
}
