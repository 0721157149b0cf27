//! The way back: from the control plane's answer to a session of one workspace.
//!
//! An answer counts only in the browser that the login was begun in, once, and in time: its state must be the one that is
//! sealed in that login's cookie, which goes with the answer.

use sentinel_core::Denial;
use sentinel_core::id::WorkspaceId;
use sentinel_token::hash::constant_time_eq;

use super::begin::Pending;
use super::control_plane::{Failure, Workspace};
use super::jar::SetCookies;
use super::names::{is_number, number_of};
use super::pages::Page;
use super::return_to::ReturnTo;
use super::{Login, Said, Visit};

/// The longest code that is taken.
const LONGEST_CODE: usize = 512;

impl Login {
    /// `GET <path>/callback` (RFC 6749 §4.1.2, RFC 9207).
    pub(super) async fn callback(&self, visit: Visit<'_>) -> Said {
        let answered = visit.parameters(["state", "code", "error", "iss"]);
        let Some([Some(state), code, error, issuer]) = answered else {
            return self.invalid(visit, SetCookies::default());
        };
        let name = self.names.pending(&number_of(&state));
        let mut cookies = SetCookies::default();
        let pending = self
            .pending(visit, &name)
            .filter(|kept| constant_time_eq(kept.state.as_bytes(), state.as_bytes()));
        let Some(mut pending) = pending else {
            return self.invalid(visit, cookies);
        };
        if pending.code.is_some() || issuer.is_some_and(|issuer| issuer != *self.issuer) {
            return self.invalid(visit, cookies);
        }
        if error.is_some() {
            cookies.remove(&name);
            return self.declined(visit, &pending.return_to, cookies);
        }
        let Some(code) = code.filter(|code| is_code(code)) else {
            return self.invalid(visit, cookies);
        };
        if let Err(said) = self.may_ask(visit) {
            return said;
        }
        let asked = self
            .control_plane
            .workspaces(&code, &pending.verifier, &visit.caller())
            .await;
        let workspaces = match asked {
            Ok(workspaces) => workspaces,
            Err(failure) => return self.failed(visit, &name, &pending, failure),
        };
        match self.open_to(&workspaces).as_slice() {
            [] => {
                cookies.remove(&name);
                self.no_workspace(visit, &pending.return_to, cookies)
            }
            [only] => self.arrive(visit, &name, &pending, &code, only.id).await,
            _ => {
                pending.code = Some(code);
                match self.keep(visit, &pending, &mut cookies) {
                    Ok(number) => {
                        visit.send_to(&format!("{}?login={number}", self.page("workspace")), cookies)
                    }
                    Err(_) => visit.refuse(Denial::Internal),
                }
            }
        }
    }

    /// `GET <path>/workspace`: the page on which a person chooses.
    pub(super) async fn choices(&self, visit: Visit<'_>) -> Said {
        let Some((number, name, pending)) = self.choosing(visit) else {
            return self.invalid(visit, SetCookies::default());
        };
        if let Err(said) = self.may_ask(visit) {
            return said;
        }
        let code = pending.code.as_deref().unwrap_or_default();
        let asked = self
            .control_plane
            .workspaces(code, &pending.verifier, &visit.caller())
            .await;
        let workspaces = match asked {
            Ok(workspaces) => workspaces,
            Err(failure) => return self.failed(visit, &name, &pending, failure),
        };
        let page = Page::new(
            200,
            "Choose a workspace",
            "You are a member of several workspaces.",
        );
        let page = self.open_to(&workspaces).iter().fold(page, |page, workspace| {
            let action = format!(
                "{}?login={number}&workspace={}",
                self.page("workspace"),
                workspace.id
            );
            page.button(&action, &workspace.name, &workspace.role, None)
        });
        visit.say(page, SetCookies::default(), Ok(()))
    }

    /// `POST <path>/workspace`: what he chose.
    pub(super) async fn chosen(&self, visit: Visit<'_>) -> Said {
        if visit.request.presented.may_be_forged {
            return visit.refuse(Denial::CrossSite);
        }
        let workspace = visit.parameters(["workspace"]).and_then(|[workspace]| workspace);
        let workspace = workspace.and_then(|text| text.parse::<WorkspaceId>().ok());
        let (Some((_, name, pending)), Some(workspace)) = (self.choosing(visit), workspace) else {
            return self.invalid(visit, SetCookies::default());
        };
        if let Err(said) = self.may_ask(visit) {
            return said;
        }
        let code = pending.code.as_deref().unwrap_or_default();
        self.arrive(visit, &name, &pending, code, workspace).await
    }

    /// The login that waits for a choice: its number, the name of its cookie, and itself.
    fn choosing(&self, visit: Visit<'_>) -> Option<(String, String, Pending)> {
        let [number] = visit.parameters(["login"])?;
        let number = number.filter(|number| is_number(number))?;
        let name = self.names.pending(&number);
        let pending = self
            .pending(visit, &name)
            .filter(|pending| pending.code.is_some())?;
        Some((number, name, pending))
    }

    /// The workspaces that people sign in to here.
    fn open_to<'w>(&self, workspaces: &'w [Workspace]) -> Vec<&'w Workspace> {
        let wanted = |workspace: &&Workspace| {
            let slug = self.workspace.as_deref();
            slug.is_none_or(|slug| slug == workspace.slug)
        };
        workspaces.iter().filter(wanted).collect()
    }

    /// Exchanges the code, and lets the browser in.
    async fn arrive(
        &self,
        visit: Visit<'_>,
        name: &str,
        pending: &Pending,
        code: &str,
        workspace: WorkspaceId,
    ) -> Said {
        let exchanged = self
            .control_plane
            .exchange(code, &pending.verifier, workspace, &visit.caller())
            .await;
        let pair = match exchanged {
            Ok(pair) => pair,
            Err(failure) => return self.failed(visit, name, pending, failure),
        };
        let now = self.clock.now();
        let mut cookies = match self.session_cookies(visit, &pair, now.timestamp()) {
            Ok(cookies) => cookies,
            Err(denial) => return too_large(visit, denial),
        };
        cookies.remove(name);
        tracing::info!(request.id = visit.id.as_str(), "somebody signed in");
        visit.send_to(pending.return_to.as_str(), cookies)
    }

    /// The control plane gave nothing for a code.
    fn failed(&self, visit: Visit<'_>, name: &str, pending: &Pending, failure: Failure) -> Said {
        let mut cookies = SetCookies::default();
        match failure {
            // The code may still be good, and the cookie with it: the page can be loaded again.
            Failure::Unavailable => self.unavailable(visit, &pending.return_to),
            Failure::Refused(403 | 404) => {
                cookies.remove(name);
                self.no_workspace(visit, &pending.return_to, cookies)
            }
            Failure::Refused(_) => {
                cookies.remove(name);
                self.invalid(visit, cookies)
            }
        }
    }

    /// The answer to what was not begun here, is over, or was answered before.
    fn invalid(&self, visit: Visit<'_>, cookies: SetCookies) -> Said {
        let page = Page::new(
            400,
            "This sign-in cannot be completed",
            "It was not begun in this browser, took too long, or was completed before.",
        );
        let page = page.link(&self.begin_link(&ReturnTo::default(), None), "Sign in");
        visit.say(page, cookies, Err(Denial::LoginInvalid))
    }

    fn declined(&self, visit: Visit<'_>, return_to: &ReturnTo, cookies: SetCookies) -> Said {
        let page = Page::new(403, "Sign-in was declined", "You were not signed in.");
        let page = page.link(&self.begin_link(return_to, None), "Try again");
        visit.say(page, cookies, Err(Denial::LoginInvalid))
    }

    fn no_workspace(&self, visit: Visit<'_>, return_to: &ReturnTo, cookies: SetCookies) -> Said {
        let page = Page::new(
            403,
            "There is no workspace for you here",
            "You are known, but you are no member of a workspace that this site is for. Ask an administrator to invite you.",
        );
        let page = page.link(&self.begin_link(return_to, None), "Try again");
        visit.say(page, cookies, Err(Denial::RoleDenied))
    }
}

fn too_large(visit: Visit<'_>, denial: Denial) -> Said {
    let page = Page::new(
        denial.status(),
        "You cannot be kept signed in",
        "What is known about you does not fit into what a browser keeps. Tell an administrator that your access token is too large.",
    );
    visit.say(page, SetCookies::default(), Err(denial))
}

/// Whether a text can be a code (RFC 6749, appendix A.11).
fn is_code(text: &str) -> bool {
    (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
