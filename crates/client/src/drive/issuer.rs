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
    // SPEC §9.3 [resume-first]: what an earlier process left unfinished comes before anything new.
    if let Err(error) = shared.turn(|turn| turn.drive_payments(true)).await {
        tracing::warn!(%error, "unfinished payments could not be resumed");
    }
    let mut calls = JoinSet::new();
    let mut wake: Option<Timestamp> = None;
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
            () = crate::clock::sleep_until(wake) => {
                wake = None;
                if let Err(error) = shared.turn(|turn| turn.drive_payments(false)).await {
                    tracing::warn!(%error, "payments could not be driven on");
                    wake = Some(crate::clock::now().saturating_add(Duration::from_secs(5)));
                }
            }
        }
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
