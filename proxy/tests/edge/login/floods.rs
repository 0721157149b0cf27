//! The edge's own pages under people who want nothing of them but to keep others out.

use super::{REFRESH, SESSION, Says, begin, cookie, look, look_from, set_cookies, sign_in, start, tokens};
use crate::harness::{Answer, Client, World};
use crate::testing::{NOW, OLGA, token};

/// More than one client may load, and fewer than there is time for.
const MANY: usize = 60;

/// `POST /.sentinel/logout` by a form of the page itself.
async fn log_out(world: &World, cookies: &[(&str, &str)]) -> Answer {
    let request = look("/.sentinel/logout", cookies)
        .replacen("GET ", "POST ", 1)
        .replacen(
            "Accept:",
            "Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\nAccept:",
            1,
        );
    world.send(request).await
}

/// A token that says that it is good, and that nobody has signed.
fn forged(number: u64) -> String {
    let made = token(OLGA, |claims| {
        claims["exp"] = (NOW + 800).into();
        claims["number"] = number.into();
    });
    let (message, _) = made.rsplit_once('.').expect("a JWT");
    format!("{message}.{}", "A".repeat(342))
}

#[tokio::test]
async fn pages_that_anybody_can_load_keep_nobody_from_renewing_his_session() {
    let (world, control_plane) = start().await;
    let refresh = sign_in(&world, &control_plane, 1).await.1;
    let mut logins = Vec::new();
    for _ in 0..64 {
        logins.push(begin(&world).await);
    }
    let before = control_plane.asked("GET /auth/workspaces") + control_plane.asked("POST /auth/workspaces");
    control_plane.say(Says::Nothing);
    let mut waiting = Vec::new();
    for (number, (name, value, state)) in logins.iter().enumerate() {
        let path = format!("/.sentinel/callback?state={state}&code=abc");
        let mut client = Client::connect(world.running.http()).await;
        let from = format!("198.51.100.{number}");
        client
            .write(look_from(&from, &path, &[(name, value)]).as_bytes())
            .await;
        waiting.push(client);
    }
    control_plane
        .wait_until_asked("POST /auth/workspaces", before + 64)
        .await;
    let mut renewing = Client::connect(world.running.http()).await;
    renewing
        .write(look("/page", &[(REFRESH, &refresh)]).as_bytes())
        .await;
    control_plane.wait_until_asked("POST /auth/refresh", 1).await;
}

#[tokio::test]
async fn one_client_has_the_control_plane_asked_so_often_and_no_oftener() {
    let (world, control_plane) = start().await;
    let (name, value, state) = begin(&world).await;
    control_plane.say_json("401 Unauthorized", "{}");
    let path = format!("/.sentinel/callback?state={state}&code=abc");
    let mut asked = 0;
    let late = loop {
        assert!(asked < MANY, "nobody stops him");
        let answer = world.send(look(&path, &[(&name, &value)])).await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 400, "{answer:?}");
        asked += 1;
    };
    assert!(asked >= 30, "nobody can sign in: {asked}");
    assert_eq!(control_plane.asked("POST /auth/workspaces"), asked);
    assert!(
        late.header("retry-after").is_some() && late.body.contains("<h1>"),
        "{late:?}"
    );
    assert!(
        set_cookies(&late).is_empty(),
        "a login that may still succeed was forgotten"
    );
    // Others are not held up, and neither is what asks nobody.
    let other = world
        .send(look_from("192.0.2.200", &path, &[(&name, &value)]))
        .await;
    assert_eq!(other.status, 400);
    assert_eq!(world.send(look("/page", &[])).await.status, 303);
    assert_eq!(log_out(&world, &[(SESSION, &forged(1))]).await.status, 303);
}

#[tokio::test]
async fn nothing_that_nobody_has_signed_is_sent_on_to_end_a_session() {
    let (world, control_plane) = start().await;
    control_plane.say_json("200 OK", "{}");
    let gone = |answer: &Answer| {
        let names: Vec<_> = set_cookies(answer).into_iter().collect();
        assert_eq!(
            names,
            [SESSION, REFRESH].map(|name| (name.to_owned(), String::new())),
            "{answer:?}"
        );
    };
    for cookies in [
        &[(SESSION, forged(1).as_str())] as &[_],
        &[(SESSION, forged(2).as_str()), (REFRESH, "made-up")],
        &[(REFRESH, "made-up")],
        &[],
    ] {
        let answer = log_out(&world, cookies).await;
        assert_eq!(answer.status, 303, "{cookies:?}");
        gone(&answer);
    }
    assert_eq!(
        *control_plane.requests.borrow(),
        [] as [String; 0],
        "the control plane was asked"
    );
    // What counts is given up; and without an access token that counts, by the refresh token.
    let good = token(OLGA, |_| ());
    gone(&log_out(&world, &[(SESSION, &good)]).await);
    assert_eq!(control_plane.asked("POST /auth/logout"), 1);
    let (_, refresh) = sign_in(&world, &control_plane, 1).await;
    let Says::Tokens(next, _) = tokens(2) else {
        unreachable!("tokens are tokens");
    };
    control_plane.say(tokens(2));
    gone(&log_out(&world, &[(SESSION, &forged(3)), (REFRESH, &refresh)]).await);
    assert_eq!(
        (
            control_plane.asked("POST /auth/refresh"),
            control_plane.asked("POST /auth/logout")
        ),
        (1, 2)
    );
    let last = control_plane
        .requests
        .borrow()
        .last()
        .cloned()
        .expect("a request");
    assert!(last.contains(&format!("Bearer {next}\r\n")), "{last}");
}

#[tokio::test]
async fn a_cookie_of_somebody_else_hides_no_session() {
    let (world, control_plane) = start().await;
    let refresh = sign_in(&world, &control_plane, 1).await.1;
    control_plane.say(tokens(2));
    let mut request = look("/page", &[("theirs", "#"), (REFRESH, &refresh)]).into_bytes();
    let at = request.iter().position(|byte| *byte == b'#').expect("there");
    request[at] = 0xe4;
    let answer = world.send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(cookie(&answer, REFRESH), refresh);
}
