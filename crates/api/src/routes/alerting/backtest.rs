//! `/rules/backtest`: what a rule would have done.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_alerting::{Backtest, BacktestError, Episode, backtest};
use pulsestream_domain::{
    Timestamp,
    alerting::{BacktestDraft, BacktestRule, Definition},
    api_key::Scope,
    event::{FieldError, Reason},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{request, rules::RULE};
use crate::{answer, caller::Caller, error::ApiError, openapi, state::State};

/// What a rule would have done.
#[derive(Serialize, ToSchema)]
pub(crate) struct BacktestAnswer<'a> {
    success: bool,
    backtest: BacktestJson<'a>,
}

/// What a rule would have done from one instant to another.
#[derive(Serialize, ToSchema)]
#[schema(as = Backtest)]
pub(crate) struct BacktestJson<'a> {
    /// The first evaluation.
    #[schema(value_type = String, format = DateTime)]
    start_time: Timestamp,
    /// The last evaluation.
    #[schema(value_type = String, format = DateTime)]
    end_time: Timestamp,
    /// From one evaluation to the next: the rule's interval, or a wider one when there would be too many.
    interval_seconds: u32,
    evaluations: u32,
    /// How many alerts it would have raised.
    alerts: u32,
    /// How often the cooldown or the hourly limit would have kept one back.
    held_back: u32,
    /// By start; at most 1,000.
    episodes: Vec<EpisodeJson<'a>>,
    /// Whether there were more groups or episodes.
    is_truncated: bool,
}

/// One alert that would have been.
#[derive(Serialize, ToSchema)]
#[schema(as = BacktestEpisode)]
pub(crate) struct EpisodeJson<'a> {
    labels: &'a BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    triggered_at: Timestamp,
    /// Null when it still was not over at the end.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    title: &'a str,
    /// What was measured when it would have been raised.
    value: Option<f64>,
    /// The smallest that was measured while it would have lasted.
    min_value: Option<f64>,
    /// The largest.
    max_value: Option<f64>,
}

/// Replays a rule over the events that are stored. Nobody is told, and nothing is stored.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/rules/backtest",
    tag = "alerting",
    request_body(content = openapi::alerting::BacktestRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "what it would have done", body = BacktestAnswer),
        openapi::responses::ChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn backtest_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let body = request::json(&state, &request, payload).await?;
    let draft = BacktestDraft::parse(&body)?;
    let definition = definition(&state, &caller, draft.rule).await?;
    let (from, to) = (draft.start_time, draft.end_time);
    let found = backtest(&state.store, caller.tenant_id(), &definition, from, to, &*state.ids).await;
    let found = found.map_err(|error| match error {
        BacktestError::EmptySpan => FieldError::new("/end_time", Reason::OutOfRange).into(),
        BacktestError::Store(error) => ApiError::from(error),
    })?;
    answer::json(&BacktestAnswer { success: true, backtest: BacktestJson::of(&found) })
}

async fn definition(state: &State, caller: &Caller, rule: BacktestRule) -> Result<Definition, ApiError> {
    match rule {
        BacktestRule::Given(definition) => Ok(*definition),
        BacktestRule::Kept(rule_id) => {
            let rule = state.store.rule(caller.tenant_id(), rule_id).await?;
            Ok(rule.ok_or(ApiError::NoSuch(RULE))?.definition)
        }
    }
}

impl<'a> BacktestJson<'a> {
    fn of(found: &'a Backtest) -> Self {
        Self {
            start_time: found.from,
            end_time: found.to,
            interval_seconds: found.step_secs,
            evaluations: found.ticks,
            alerts: found.alerts,
            held_back: found.held_back,
            episodes: found.episodes.iter().map(EpisodeJson::of).collect(),
            is_truncated: found.is_truncated,
        }
    }
}

impl<'a> EpisodeJson<'a> {
    fn of(episode: &'a Episode) -> Self {
        Self {
            labels: &episode.labels.0,
            started_at: episode.started_at,
            triggered_at: episode.triggered_at,
            resolved_at: episode.resolved_at,
            title: &episode.title,
            value: episode.value,
            min_value: episode.value_range.map(|(min, _)| min),
            max_value: episode.value_range.map(|(_, max)| max),
        }
    }
}
