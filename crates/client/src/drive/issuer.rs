//! Calls to issuers, and the times at which the wallet wants to be driven on.

use std::sync::Arc;
use std::time::Duration;

use chopmark_core::time::Timestamp;
use chopmark_pay::{Call, HttpReply, Method, REPLY_MAX, Unreachable};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Shared, Work};
use crate::connection::issuer;

pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::UnboundedReceiver<Work>) {
    let mut health = shared.health.subscribe();
    // It may receive already.
    health.mark_changed();
    let mut resumed = false;
    let mut calls = JoinSet::new();
    let mut wake: Option<Timestamp> = None;
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            work = queue.recv(), if calls.len() < AT_ONCE => match work {
                Some(Work::Call(call)) => {
                    calls.spawn(make(shared.clone(), call));
                }
                Some(Work::WakeAt(at)) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                None => return,
            },
            Some(_) = calls.join_next(), if !calls.is_empty() => {}
            // SPEC §9.3: whoever receives for the home drives what any process left unfinished; resuming
            // in every process would ask for everything as often as there are processes.
            _ = health.changed(), if !resumed => {
                if health.borrow_and_update().receiving {
                    resumed = true;
                    drive(&shared, true).await;
                }
            }
            _ = look.tick(), if resumed => drive(&shared, false).await,
            () = crate::clock::sleep_until(wake) => {
                wake = None;
                drive(&shared, false).await;
            }
        }
    }
}

async fn drive(shared: &Arc<Shared>, start: bool) {
    if let Err(error) = shared.turn(move |turn| turn.drive_payments(start)).await {
        tracing::warn!(%error, "payments could not be driven on");
    }
}

async fn make(shared: Arc<Shared>, call: Call) {
    let (method, body) = match call.method {
        Method::Get => ("GET", None),
        Method::Post => ("POST", Some(call.body.into())),
    };
    let url = format!("{}{}", call.issuer.as_str(), call.path);
    let answer = match issuer::call(method, &url, body, REPLY_MAX).await {
        Ok(answer) => {
            shared.health.send_modify(|health| health.issuer_failures = 0);
            Ok(HttpReply { status: answer.status, body: answer.body.to_vec() })
        }
        Err(error) => {
            tracing::debug!(%error, "a call to an issuer had no answer");
            shared.health.send_modify(|health| {
                health.issuer_failures = health.issuer_failures.saturating_add(1);
            });
            Err(Unreachable)
        }
    };
    if let Err(error) = shared.turn(move |turn| turn.replied(call.id, answer)).await {
        tracing::warn!(%error, "an issuer's answer could not be stored");
    }
}

const AT_ONCE: usize = 8;
/// How often the receiving process looks for payments that another one left behind.
const LOOK: Duration = Duration::from_secs(5);
