//! `pulsestream user`.

use std::{io, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use pulsestream_domain::{
    Timestamp,
    identity::{Email, OpaqueToken, Password, Purpose, Role, User, UserId},
    tenant::{Slug, Tenant},
};
use pulsestream_identity::{
    PASSWORD_RESET_SECS,
    entropy::{Entropy, SystemEntropy},
    passwords::{self, Passwords, one_time_password},
};
use pulsestream_storage::{CreateError, Store, UpdateUserError, UserChange, UserQuery};
use serde::Serialize;

use super::{output::Output, target::find_tenant};
use crate::{compose, first_start, settings::Settings};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a user with a one-time password, which is shown only now
    Create(Create),
    /// List a tenant's users
    List(Of),
    /// Give a user another role. Servers notice within `auth.key_cache_life`
    SetRole(SetRole),
    /// Print a link that lets a user set a new password, once, within 30 minutes
    ResetPassword(ResetPassword),
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Whose user
    #[arg(long, value_name = "SLUG", default_value = first_start::DEFAULT_TENANT)]
    tenant: Slug,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Address that they log in with
    email: Email,
    #[command(flatten)]
    of: Of,
    /// viewer, admin or owner
    #[arg(long, default_value = "viewer", value_parser = parse_role)]
    role: Role,
    /// Name for people
    #[arg(long)]
    full_name: Option<String>,
    /// Read their password from the first line of standard input, instead of making one for one login
    #[arg(long)]
    password_from_stdin: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SetRole {
    /// Address that they log in with
    email: Email,
    /// viewer, admin or owner
    #[arg(value_parser = parse_role)]
    role: Role,
    #[command(flatten)]
    of: Of,
}

#[derive(Args, Debug)]
pub(crate) struct ResetPassword {
    /// Address that they log in with
    email: Email,
    #[command(flatten)]
    of: Of,
}

fn parse_role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|_| "must be one of viewer, admin, owner".to_owned())
}

/// A user as they are printed.
#[derive(Serialize)]
struct Shown {
    id: String,
    email: String,
    full_name: Option<String>,
    role: Role,
    is_active: bool,
    must_change_password: bool,
    created_at: Timestamp,
    last_login_at: Option<Timestamp>,
    /// Only for a user just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_time_password: Option<String>,
}

impl From<&User> for Shown {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.to_string(),
            full_name: user.full_name.clone(),
            role: user.role,
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
            one_time_password: None,
        }
    }
}

impl Shown {
    fn print(&self, output: Output) -> Result<()> {
        let mut fields =
            vec![("email", self.email.clone()), ("id", self.id.clone()), ("role", self.role.to_string())];
        if let Some(password) = &self.one_time_password {
            fields.push(("one-time password, shown only now", password.clone()));
        }
        output.fields(self, &fields).context("printing")
    }
}

/// Runs the command on the store that the settings name.
pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let store = compose::store(settings).await?;
    match command {
        Command::Create(arguments) => create(arguments, &store, output).await?,
        Command::List(of) => list(&of, &store, output).await?,
        Command::SetRole(arguments) => set_role(arguments, &store, output).await?,
        Command::ResetPassword(arguments) => reset_password(arguments, settings, &store, output).await?,
    }
    store.close().await;
    Ok(())
}

async fn create(arguments: Create, store: &Store, output: Output) -> Result<()> {
    let Create { email, of, role, full_name, password_from_stdin } = arguments;
    let has_room = |name: &String| (1..=255).contains(&name.chars().count());
    ensure!(full_name.as_ref().is_none_or(has_room), "a name has 1 to 255 characters");
    let tenant = find_tenant(store, &of.tenant).await?;
    let (password, is_one_time) = match password_from_stdin {
        true => (password_on_standard_input()?, false),
        false => (one_time_password(&SystemEntropy), true),
    };
    let passwords = Passwords::new(passwords::Settings::default(), Arc::new(SystemEntropy));
    let now = compose::clock().now();
    let user = User {
        id: UserId(compose::ids().uuid_v7(now)),
        tenant_id: tenant.id,
        email,
        full_name,
        role,
        password_hash: passwords.hash(password.clone()).await.context("hashing the password")?,
        must_change_password: is_one_time,
        is_active: true,
        created_at: now,
        last_login_at: None,
    };
    store.create_user(&user, &compose::operator()).await.map_err(|error| match error {
        CreateError::EmailTaken => {
            anyhow::anyhow!("the tenant `{}` has a user {} already", tenant.slug, user.email)
        }
        other => anyhow::Error::new(other).context("making the user"),
    })?;
    let mut shown = Shown::from(&user);
    // Whoever brought a password has it.
    shown.one_time_password = is_one_time.then(|| password.reveal().to_owned());
    shown.print(output)
}

fn password_on_standard_input() -> Result<Password> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("reading the password from standard input")?;
    let line = line.trim_end_matches(['\n', '\r']).to_owned();
    Password::new(line).context("the first line of standard input is no password")
}

async fn list(of: &Of, store: &Store, output: Output) -> Result<()> {
    let tenant = find_tenant(store, &of.tenant).await?;
    let query = UserQuery { limit: u64::from(u32::MAX), ..UserQuery::default() };
    let users = store.users(tenant.id, &query).await.context("reading the users")?.users;
    let shown: Vec<Shown> = users.iter().map(Shown::from).collect();
    let head = ["EMAIL", "NAME", "ROLE", "ACTIVE", "CREATED", "LAST LOGIN"];
    let cells = |user: &Shown| {
        [
            user.email.clone(),
            user.full_name.clone().unwrap_or_default(),
            user.role.to_string(),
            if user.is_active { "yes" } else { "no" }.to_owned(),
            user.created_at.to_string(),
            user.last_login_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        ]
    };
    output.table(head, &shown, cells).context("printing")
}

async fn set_role(arguments: SetRole, store: &Store, output: Output) -> Result<()> {
    let (tenant, user) = find(store, &arguments.of, &arguments.email).await?;
    let change = UserChange { role: Some(arguments.role), ..UserChange::default() };
    let changed = store.update_user(tenant.id, user.id, &change, &compose::operator()).await;
    match changed {
        Ok(Some(user)) => Shown::from(&user).print(output),
        Ok(None) => bail!("the user {} is gone", arguments.email),
        Err(UpdateUserError::LastOwner) => {
            bail!("the tenant `{}` would be left without an owner", tenant.slug)
        }
        Err(error) => Err(error).context("changing the user"),
    }
}

async fn reset_password(
    arguments: ResetPassword,
    settings: &Settings,
    store: &Store,
    output: Output,
) -> Result<()> {
    let (tenant, user) = find(store, &arguments.of, &arguments.email).await?;
    let token = OpaqueToken::from_entropy(Purpose::PasswordReset, tenant.id, SystemEntropy.bytes());
    let origin = compose::operator();
    let expires_at = origin.at.plus_secs(PASSWORD_RESET_SECS);
    let digest = token.digest();
    let made = store.create_password_reset(tenant.id, user.id, &digest, expires_at, &origin).await;
    made.context("making the token")?;
    let at_bind = || first_start::base_url(settings.tls.scheme(), settings.server.bind);
    let base = settings.server.public_url().unwrap_or_else(at_bind);
    let link = format!("{base}/reset-password#{}", token.reveal());
    let data = serde_json::json!({ "token": token.reveal(), "link": link, "expires_at": expires_at });
    let sentence = format!(
        "{link}\n\nGood once, until {expires_at}. Or post the text behind the # as `token`, with a `new_password`, to\n\
         {base}/api/v1/auth/password-reset/confirm"
    );
    output.done(&sentence, &data).context("printing")
}

async fn find(store: &Store, of: &Of, email: &Email) -> Result<(Tenant, User)> {
    let tenant = find_tenant(store, &of.tenant).await?;
    let user = store.user_by_email(tenant.id, email).await.context("looking up the user")?;
    let user = user.with_context(|| format!("the tenant `{}` has no user {email}", tenant.slug))?;
    Ok((tenant, user))
}
