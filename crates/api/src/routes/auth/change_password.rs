//! `POST /change-password`: another password of one's own.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_identity::{authority::Action, passwords::Verdict, throttle::Attempt};

use super::{logout::AuthDone, requests};
use crate::{
    caller::{Caller, client_address, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// Changes one's password and ends one's other sessions.
#[utoipa::path(
    post,
    path = "/api/v1/auth/change-password",
    tag = "auth",
    request_body(content = requests::ChangePasswordBody, content_type = "application/json"),
    responses(
        (status = 200, description = "it is changed", body = AuthDone),
        openapi::responses::LoginProblems,
    ),
    security(("bearer" = [])),
)]
pub(crate) async fn change_password(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<AuthDone>, ApiError> {
    caller.require(Action::OwnAccount)?;
    let member = caller.member()?;
    let mut fields = Fields::read(&state, &request, payload).await?;
    let current = fields.presented_password("current_password");
    let current = fields.required("current_password", current);
    let new = fields.new_password("new_password");
    let new = fields.required("new_password", new);
    let (Some(current), Some(new)) = (current, new) else { return Err(fields.refused()) };
    if current == new {
        fields.refuse::<()>("new_password", pulsestream_domain::event::Reason::BadPassword);
    }
    fields.finish()?;

    let throttle = &state.identity.throttle;
    let (account, address) = (member.user.id.to_string(), client_address(&request));
    let admitted = throttle.admit(Attempt::Login, Some(&account), address, state.clock.now()).await?;
    let (tenant_id, id) = (caller.tenant_id(), member.user.id);
    let user = state.store.user(tenant_id, id).await?.ok_or(ApiError::Unauthenticated)?;
    let passwords = &state.identity.passwords;
    if passwords.verify(current, Some(&user.password_hash)).await? == Verdict::Wrong {
        return Err(ApiError::InvalidLogin);
    }
    throttle.forgive(admitted, state.clock.now()).await;
    let hash = passwords.hash(new).await?;
    let origin = origin(&state, &request, caller.actor());
    state.store.set_password(tenant_id, id, &hash, false, Some(member.session.id), &origin).await?;
    state.members.forget(member).await;
    Ok(Json(AuthDone { message: "Password changed successfully" }))
}
