//! `/deliveries`: what was sent, and what came of it.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_domain::{
    alerting::{ChannelId, DeliveryId, DeliveryQuery, RecoveryDraft},
    api_key::Scope,
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    channels::CHANNEL,
    delivery_json::{AttemptJson, DeliveryJson},
    request,
};
use crate::{answer, caller::Caller, error::ApiError, openapi, query, state::State};

const DELIVERY: &str = "delivery";

/// A page of deliveries, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryList<'a> {
    success: bool,
    deliveries: Vec<DeliveryJson<'a>>,
    /// How many there are on all pages.
    total_count: u64,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// One delivery with everything that was tried.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneDelivery<'a> {
    success: bool,
    delivery: DeliveryJson<'a>,
    /// In order.
    attempts: Vec<AttemptJson<'a>>,
}

/// A delivery that is sent again.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryResent {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    delivery_id: DeliveryId,
}

/// Deliveries that are sent again.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveriesRecovered {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    channel_id: ChannelId,
    resent_count: u64,
}

/// Lists deliveries.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/deliveries",
    tag = "alerting",
    params(openapi::alerting::DeliveryParameters, openapi::alerting::Page),
    responses(
        (status = 200, description = "a page of deliveries", body = DeliveryList),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_deliveries(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let channel_id = request::take(&mut parameters, "channel_id")?;
    let alert_id = request::take(&mut parameters, "alert_id")?;
    let delivery_state = request::take(&mut parameters, "state")?;
    let since = request::take_timestamp(&mut parameters, "since")?;
    let page = request::take_page(&mut parameters)?;
    request::close(parameters)?;
    let query = DeliveryQuery {
        channel_id,
        alert_id,
        state: delivery_state,
        since,
        limit: page.limit,
        offset: page.offset,
    };
    let listed = state.store.deliveries(caller.tenant_id(), &query).await?;
    answer::json(&DeliveryList {
        success: true,
        deliveries: listed.items.iter().map(DeliveryJson::of).collect(),
        total_count: listed.total,
        tenant_id: caller.tenant_id(),
    })
}

/// Reads one delivery, with everything that was tried.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/deliveries/{delivery_id}",
    tag = "alerting",
    params(openapi::alerting::DeliveryPath),
    responses(
        (status = 200, description = "the delivery", body = OneDelivery),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_delivery(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let id = request::id(&request, "delivery_id", DELIVERY)?;
    let found = state.store.delivery(caller.tenant_id(), id).await?;
    let (delivery, attempts) = found.ok_or(ApiError::NoSuch(DELIVERY))?;
    answer::json(&OneDelivery {
        success: true,
        delivery: DeliveryJson::of(&delivery),
        attempts: attempts.iter().map(AttemptJson::of).collect(),
    })
}

/// Sends a delivery again, under the same id.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/deliveries/{delivery_id}/resend",
    tag = "alerting",
    params(openapi::alerting::DeliveryPath),
    responses(
        (status = 200, description = "it is on its way", body = DeliveryResent),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn resend_delivery(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let delivery_id: DeliveryId = request::id(&request, "delivery_id", DELIVERY)?;
    let now = state.clock.now();
    if !state.store.resend(caller.tenant_id(), delivery_id, now, &*state.ids).await? {
        return Err(ApiError::NoSuch(DELIVERY));
    }
    answer::json(&DeliveryResent { success: true, message: "Delivery queued to be sent again", delivery_id })
}

/// Sends everything again that a channel did not get since an instant.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/deliveries/recover",
    tag = "alerting",
    request_body(content = openapi::alerting::Recovery, content_type = "application/json"),
    responses(
        (status = 200, description = "how many are on their way", body = DeliveriesRecovered),
        openapi::responses::ChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn recover_deliveries(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    let RecoveryDraft { channel_id, since } = RecoveryDraft::parse(&body)?;
    let (tenant_id, now) = (caller.tenant_id(), state.clock.now());
    state.store.channel(tenant_id, channel_id).await?.ok_or(ApiError::NoSuch(CHANNEL))?;
    let resent_count = state.store.recover_since(tenant_id, channel_id, since, now, &*state.ids).await?;
    answer::json(&DeliveriesRecovered {
        success: true,
        message: "Failed deliveries queued to be sent again",
        channel_id,
        resent_count,
    })
}
