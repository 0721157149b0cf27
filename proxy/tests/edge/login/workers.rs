//! A session whose requests come to two workers: what one of them exchanges, both know.

use std::collections::HashSet;

use super::{REFRESH, SESSION, cookie, look, sign_in, start, tokens};
use crate::harness::{Client, on_workers};

#[tokio::test]
async fn a_session_is_renewed_once_whichever_worker_its_requests_come_to() {
    on_workers(2, async {
        let (world, control_plane) = start().await;
        let refresh = sign_in(&world, &control_plane, 1).await.1;
        control_plane.say(tokens(2));
        let mut clients = Vec::new();
        for _ in 0..12 {
            let mut client = Client::connect(world.running.http()).await;
            client
                .write(look("/page", &[(REFRESH, &refresh)]).as_bytes())
                .await;
            clients.push(client);
        }
        let mut renewed = HashSet::new();
        for client in &mut clients {
            let answer = client.read_answer().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            renewed.insert(cookie(&answer, SESSION));
        }
        assert_eq!(renewed.len(), 1);
        assert_eq!(
            control_plane.asked("POST /auth/refresh"),
            1,
            "the token was exchanged twice"
        );
    })
    .await;
}
