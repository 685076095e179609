//! `POST /register/user`: another person of a tenant.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_domain::{
    event::Reason,
    identity::{Origin, Role, User, UserId},
};
use pulsestream_identity::{
    USER_INVITATION_SECS, authority::Action, mail::Mail, passwords::one_time_password,
};
use pulsestream_storage::CreateError;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    mails::{self, SendError},
    requests,
    user_json::UserJson,
};
use crate::{
    caller::{Caller, origin},
    error::{ApiError, Conflict},
    fields::Fields,
    openapi,
    state::State,
};

/// A user who was made just now.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewUserAnswer {
    success: bool,
    message: &'static str,
    #[serde(flatten)]
    user: UserJson,
    /// Only when the server made the password; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_time_password: Option<String>,
}

/// Makes a user of the caller's tenant. One without a password gets a mail with a link to choose it, where mails are set
/// up.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register/user",
    tag = "auth",
    request_body(content = requests::NewUserBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the user", body = NewUserAnswer),
        openapi::responses::AccountChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn register_user(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<NewUserAnswer>, ApiError> {
    caller.require(Action::ManageUsers)?;
    let mut fields = Fields::read(&state, &request, payload).await?;
    let email = fields.email("email");
    let email = fields.required("email", email);
    let password = fields.new_password("password");
    let full_name = fields.text("full_name", 1..=255);
    let role = fields.parsed::<Role>("role", Reason::UnknownValue).unwrap_or(Role::Viewer);
    let Some(email) = email else { return Err(fields.refused()) };
    fields.finish()?;
    if role == Role::Owner {
        caller.require(Action::ManageOwners)?;
    }

    let one_time = password.is_none().then(|| one_time_password(&*state.identity.entropy));
    let chosen = password.or_else(|| one_time.clone()).ok_or(ApiError::Internal)?;
    let now = state.clock.now();
    let user = User {
        id: UserId(state.ids.uuid_v7(now)),
        tenant_id: caller.tenant_id(),
        email,
        full_name,
        role,
        password_hash: state.identity.passwords.hash(chosen).await?,
        must_change_password: one_time.is_some(),
        is_active: true,
        created_at: now,
        last_login_at: None,
    };
    state.store.create_user(&user, &origin(&state, &request, caller.actor())).await?;
    if one_time.is_some() {
        // A change of its own, with a line of its own in the audit log.
        let (sender, user, origin) = (state.clone(), user.clone(), origin(&state, &request, caller.actor()));
        mails::beside(&state, async move { invite(&sender, &user, &origin).await });
    }
    Ok(Json(NewUserAnswer {
        success: true,
        message: "User registered successfully",
        user: UserJson::from(&user),
        one_time_password: one_time.map(|password| password.reveal().to_owned()),
    }))
}

/// Who has no password of their own yet gets a mail to choose one, if mails are set up.
async fn invite(state: &State, user: &User, origin: &Origin) -> Result<(), SendError> {
    if state.identity.mail.is_none() {
        return Ok(());
    }
    let Some(tenant) = state.store.tenant(user.tenant_id).await? else { return Ok(()) };
    let hours = USER_INVITATION_SECS / 3_600;
    let mail = |link: &str| Mail::invitation(user.email.clone(), &tenant.name, link, hours);
    mails::send_link(state, user, USER_INVITATION_SECS, origin, mail).await
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::SlugTaken => Self::Conflict(Conflict::SlugTaken),
            CreateError::EmailTaken => Self::Conflict(Conflict::EmailTaken),
            // New tenants have a new id, unless an invitation names it.
            CreateError::TenantIdTaken => Self::InvitationRequired,
            // The tenant of a credential is gone since it was looked up.
            CreateError::NoSuchTenant => Self::Unauthenticated,
            // 48 bits of a new key's id that some other key has.
            CreateError::KeyTaken => Self::Internal,
            CreateError::Store(error) => error.into(),
        }
    }
}
