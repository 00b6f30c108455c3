//! One handler for each page: reads what was sent, strictly, and asks the driver.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use protocol::zksc::PaymentId;
use protocol::{Amount, B256, ChannelId};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::answer::Refused;
use super::object::Object;
use super::{OPENAPI, Shared};
use crate::driver::{Command, PAGE_MAX, Request};
use crate::error::ApiError;

type Answer = Result<Json<Value>, Refused>;
/// A piece of the path.
type Segment = Result<Path<String>, PathRejection>;

async fn ask(shared: &Shared, command: Command) -> Answer {
    let (answer, told) = oneshot::channel();
    shared.requests.try_send(Request { command, answer }).map_err(|error| {
        Refused(match error {
            mpsc::error::TrySendError::Full(_) => ApiError::busy("too many requests wait"),
            mpsc::error::TrySendError::Closed(_) => ApiError::busy("the node is stopping"),
        })
    })?;
    let told = told.await.map_err(|_gone| Refused(ApiError::busy("the node is stopping")))?;
    Ok(told.map(Json)?)
}

fn body<T>(sent: Result<Json<Object<T>>, JsonRejection>) -> Result<T, Refused> {
    sent.map(|Json(Object(body))| body).map_err(|error| Refused(ApiError::bad(error.body_text())))
}

fn text(sent: Segment) -> Result<String, Refused> {
    sent.map(|Path(text)| text).map_err(|error| Refused(ApiError::bad(error.body_text())))
}

fn channel(text: &str) -> Result<ChannelId, Refused> {
    let id = text.parse();
    id.map_err(|_no_id| Refused(ApiError::bad(format!("{text:?} is no channel: a number from 1"))))
}

/// The channel of a path; `-` for the only one.
fn maybe(text: &str) -> Result<Option<ChannelId>, Refused> {
    if text == "-" { Ok(None) } else { channel(text).map(Some) }
}

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// For Prometheus, which shows the token as everybody does.
pub(crate) async fn metrics(
    State(shared): State<Shared>,
) -> Result<impl IntoResponse + use<>, Refused> {
    let page = shared.metrics.page().map_err(|error| Refused(ApiError::busy(error)))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page))
}

/// What an alert's link leads to: a page of the handbook, the same for everybody, so without the token.
pub(crate) async fn runbook(name: Segment) -> Result<impl IntoResponse + use<>, Refused> {
    let name = text(name)?;
    let page = metrics::RUNBOOKS.iter().find(|(known, _)| *known == name);
    let (_, page) = page.ok_or_else(|| Refused(ApiError::missing("there is no such runbook")))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], *page))
}

pub(crate) async fn status(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Status).await
}

pub(crate) async fn channels(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Channels).await
}

pub(crate) async fn invitation(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Invite).await
}

pub(crate) async fn backups(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Backups).await
}

pub(crate) async fn restore(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Restore).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introduction {
    invitation: String,
}

pub(crate) async fn introduce(
    State(shared): State<Shared>,
    sent: Result<Json<Object<Introduction>>, JsonRejection>,
) -> Answer {
    let Introduction { invitation } = body(sent)?;
    ask(&shared, Command::Introduce { invitation }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    invitation: String,
    deposit: Amount,
    #[serde(default)]
    another: bool,
}

pub(crate) async fn open(
    State(shared): State<Shared>,
    sent: Result<Json<Object<Open>>, JsonRejection>,
) -> Answer {
    let Open { invitation, deposit, another } = body(sent)?;
    ask(&shared, Command::Open { invitation, deposit, another }).await
}

/// The longest key of an order, in bytes.
const KEY_MAX: usize = 128;

fn check_key(key: &str) -> Result<(), Refused> {
    if (1..=KEY_MAX).contains(&key.len()) {
        Ok(())
    } else {
        Err(Refused(ApiError::bad(format!("a key has 1 to {KEY_MAX} bytes"))))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fund {
    amount: Amount,
    key: String,
}

pub(crate) async fn fund(
    State(shared): State<Shared>,
    id: Segment,
    sent: Result<Json<Object<Fund>>, JsonRejection>,
) -> Answer {
    let Fund { amount, key } = body(sent)?;
    check_key(&key)?;
    ask(&shared, Command::Fund { channel: maybe(&text(id)?)?, amount, key }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdrawal {
    amount: Amount,
    key: Option<String>,
}

pub(crate) async fn allocate(
    State(shared): State<Shared>,
    id: Segment,
    sent: Result<Json<Object<Fund>>, JsonRejection>,
) -> Answer {
    let Fund { amount, key } = body(sent)?;
    check_key(&key)?;
    ask(&shared, Command::Allocate { channel: channel(&text(id)?)?, amount, key }).await
}

pub(crate) async fn costs(State(shared): State<Shared>) -> Answer {
    ask(&shared, Command::Costs).await
}

pub(crate) async fn withdraw(
    State(shared): State<Shared>,
    id: Segment,
    sent: Result<Json<Object<Withdrawal>>, JsonRejection>,
) -> Answer {
    let Withdrawal { amount, key } = body(sent)?;
    if let Some(key) = &key {
        check_key(key)?;
    }
    ask(&shared, Command::Withdraw { channel: maybe(&text(id)?)?, amount, key }).await
}

pub(crate) async fn close(State(shared): State<Shared>, id: Segment) -> Answer {
    ask(&shared, Command::Close { channel: maybe(&text(id)?)? }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exit {
    #[serde(default)]
    now: bool,
}

pub(crate) async fn exit(
    State(shared): State<Shared>,
    id: Segment,
    sent: Result<Json<Object<Exit>>, JsonRejection>,
) -> Answer {
    let Exit { now } = body(sent)?;
    ask(&shared, Command::Exit { channel: maybe(&text(id)?)?, now }).await
}

pub(crate) async fn cancel(State(shared): State<Shared>, id: Segment) -> Answer {
    ask(&shared, Command::Cancel { channel: channel(&text(id)?)? }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pay {
    to: String,
    amount: Option<Amount>,
    channel: Option<ChannelId>,
    key: Option<String>,
}

pub(crate) async fn pay(
    State(shared): State<Shared>,
    sent: Result<Json<Object<Pay>>, JsonRejection>,
) -> Answer {
    let Pay { to, amount, channel, key } = body(sent)?;
    if let Some(key) = &key {
        check_key(key)?;
    }
    ask(&shared, Command::Pay { channel, to, amount, key }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvoice {
    amount: Option<Amount>,
    channel: Option<ChannelId>,
}

pub(crate) async fn invoice(
    State(shared): State<Shared>,
    sent: Result<Json<Object<NewInvoice>>, JsonRejection>,
) -> Answer {
    let NewInvoice { amount, channel } = body(sent)?;
    ask(&shared, Command::Invoice { channel, amount }).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    channel: Option<String>,
    #[serde(default)]
    all: bool,
    after: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn history(
    State(shared): State<Shared>,
    sent: Result<Query<Filter>, QueryRejection>,
) -> Answer {
    let Query(filter) = sent.map_err(|error| Refused(ApiError::bad(error.body_text())))?;
    let Filter { channel: of, all, after, limit } = filter;
    let channel = of.as_deref().map(channel).transpose()?;
    if !all {
        if after.is_some() || limit.is_some() {
            return Err(Refused(ApiError::bad("after and limit go with all=true")));
        }
        return ask(&shared, Command::History { channel }).await;
    }
    let after = after.as_deref().map(str::parse).transpose()?;
    let limit = limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Refused(ApiError::bad(format!("a page has 1 to {PAGE_MAX} payments"))));
    }
    ask(&shared, Command::Page { channel, after, limit }).await
}

fn payment(text: &str) -> Result<PaymentId, Refused> {
    let bytes: Result<B256, _> = text.parse();
    let refused = |_no_id| {
        Refused(ApiError::bad(format!("{text:?} is no payment: 0x and 64 hexadecimal digits")))
    };
    bytes.map(|bytes| PaymentId(bytes.0)).map_err(refused)
}

pub(crate) async fn give_up(State(shared): State<Shared>, id: Segment) -> Answer {
    ask(&shared, Command::GiveUp { payment: payment(&text(id)?)? }).await
}

pub(crate) async fn note(State(shared): State<Shared>, id: Segment) -> Answer {
    ask(&shared, Command::Export { payment: payment(&text(id)?)? }).await
}
