//! Who may do what: one table.

use pulsestream_domain::{
    api_key::{Scope, StoredKey},
    identity::{Role, User},
};

/// Something that not everybody may do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Search, count and export events; see rules, alerts, dashboards and the tenant.
    Read,
    /// Send events, delete them, queue them for processing again.
    WriteEvents,
    /// Change alert rules.
    WriteRules,
    /// Make, list, rotate and revoke API keys.
    ManageKeys,
    /// Make, list and change users below an owner.
    ManageUsers,
    /// Read the book of changes.
    ReadAuditLog,
    /// Change the tenant itself, and give away the right to do everything.
    ManageTenant,
    /// Make, change and unmake owners.
    ManageOwners,
    /// See and change oneself.
    OwnAccount,
}

/// What a request proves to have.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// An API key.
    Key(&'a StoredKey),
    /// A user's session.
    User(&'a User),
}

/// An action, the scope that lets a key do it, and the lowest role that may. `None`: nobody of that kind.
type Line = (Action, Option<Scope>, Option<Role>);

const TABLE: [Line; 9] = [
    (Action::Read, Some(Scope::EventsRead), Some(Role::Viewer)),
    (Action::WriteEvents, Some(Scope::EventsWrite), Some(Role::Admin)),
    (Action::WriteRules, Some(Scope::RulesWrite), Some(Role::Admin)),
    (Action::ManageKeys, Some(Scope::Admin), Some(Role::Admin)),
    (Action::ManageUsers, Some(Scope::Admin), Some(Role::Admin)),
    (Action::ReadAuditLog, Some(Scope::Admin), Some(Role::Admin)),
    (Action::ManageTenant, Some(Scope::Admin), Some(Role::Owner)),
    (Action::ManageOwners, None, Some(Role::Owner)),
    (Action::OwnAccount, None, Some(Role::Viewer)),
];

/// Whether this credential may be used for this action.
///
/// A user whose password somebody else knows may do nothing but change it.
pub fn may(credential: Credential<'_>, action: Action) -> bool {
    let (_, scope, role) = line(action);
    match credential {
        Credential::Key(key) => scope.is_some_and(|scope| key.allows(scope)),
        Credential::User(user) if user.must_change_password => action == Action::OwnAccount,
        Credential::User(user) => user.is_active && role.is_some_and(|lowest| user.role >= lowest),
    }
}

/// Whether a credential may give this scope to a key: only what it could do itself.
pub fn may_grant(credential: Credential<'_>, scope: Scope) -> bool {
    let action = match scope {
        // It does everything; an admin would become more than they are.
        Scope::Admin => Action::ManageTenant,
        other => Action::from(other),
    };
    may(credential, Action::ManageKeys) && may(credential, action)
}

/// What a credential needs for an action, in words.
pub fn required(action: Action) -> String {
    let (_, scope, role) = line(action);
    match (scope, role) {
        (Some(scope), Some(role)) => {
            format!("an API key with the scope {scope}, or a user with the role {role}")
        }
        (Some(scope), None) => format!("an API key with the scope {scope}"),
        (None, Some(role)) => format!("a user with the role {role}"),
        (None, None) => "more than anybody has".to_owned(),
    }
}

fn line(action: Action) -> Line {
    *TABLE.iter().find(|(listed, ..)| *listed == action).expect("every action is in the table")
}

impl From<Scope> for Action {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::EventsRead => Self::Read,
            Scope::EventsWrite => Self::WriteEvents,
            Scope::RulesWrite => Self::WriteRules,
            Scope::Admin => Self::ManageKeys,
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::{
        Timestamp,
        api_key::{ApiKey, Restrictions},
        identity::{PasswordHash, UserId},
        tenant::TenantId,
    };
    use uuid::Uuid;

    use super::*;
    use Action::*;

    const ALL: [Action; 9] = [
        Read,
        WriteEvents,
        WriteRules,
        ManageKeys,
        ManageUsers,
        ReadAuditLog,
        ManageTenant,
        ManageOwners,
        OwnAccount,
    ];

    fn user(role: Role) -> User {
        User {
            id: UserId(Uuid::nil()),
            tenant_id: TenantId(Uuid::nil()),
            email: "a@example.com".parse().expect("an address"),
            full_name: None,
            role,
            password_hash: PasswordHash(String::new()),
            must_change_password: false,
            is_active: true,
            created_at: Timestamp::EPOCH,
            last_login_at: None,
        }
    }

    fn key(scopes: &[Scope]) -> StoredKey {
        let key = ApiKey::from_entropy([7; 32]);
        StoredKey {
            id: key.id().clone(),
            tenant_id: TenantId(Uuid::nil()),
            name: String::new(),
            digest: key.digest(),
            last_four: String::new(),
            scopes: scopes.to_vec(),
            restrictions: Restrictions::default(),
            created_by: None,
            created_at: Timestamp::EPOCH,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    fn allowed(credential: Credential<'_>) -> Vec<Action> {
        ALL.into_iter().filter(|action| may(credential, *action)).collect()
    }

    #[test]
    fn each_role_may_do_what_it_is_for() {
        for (role, expected) in [
            (Role::Viewer, vec![Read, OwnAccount]),
            (
                Role::Admin,
                vec![Read, WriteEvents, WriteRules, ManageKeys, ManageUsers, ReadAuditLog, OwnAccount],
            ),
            (Role::Owner, ALL.to_vec()),
        ] {
            assert_eq!(allowed(Credential::User(&user(role))), expected, "{role}");
        }
    }

    #[test]
    fn each_scope_may_do_what_it_is_for_and_none_is_a_person() {
        for (scope, expected) in [
            (Scope::EventsRead, vec![Read]),
            (Scope::EventsWrite, vec![WriteEvents]),
            (Scope::RulesWrite, vec![WriteRules]),
            (
                Scope::Admin,
                vec![Read, WriteEvents, WriteRules, ManageKeys, ManageUsers, ReadAuditLog, ManageTenant],
            ),
        ] {
            assert_eq!(allowed(Credential::Key(&key(&[scope]))), expected, "{scope}");
        }
        assert_eq!(allowed(Credential::Key(&key(&[]))), []);
    }

    #[test]
    fn somebody_with_a_password_of_somebody_else_may_only_change_it() {
        let fresh = User { must_change_password: true, ..user(Role::Owner) };
        assert_eq!(allowed(Credential::User(&fresh)), [OwnAccount]);
        let disabled = User { is_active: false, ..user(Role::Owner) };
        assert_eq!(allowed(Credential::User(&disabled)), []);
    }

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let granted = |credential: Credential<'_>| {
            Scope::ALL.into_iter().filter(|scope| may_grant(credential, *scope)).collect::<Vec<_>>()
        };
        let below_admin = [Scope::EventsWrite, Scope::EventsRead, Scope::RulesWrite];
        assert_eq!(granted(Credential::User(&user(Role::Viewer))), []);
        assert_eq!(granted(Credential::User(&user(Role::Admin))), below_admin);
        assert_eq!(granted(Credential::User(&user(Role::Owner))), Scope::ALL);
        assert_eq!(granted(Credential::Key(&key(&below_admin))), []);
        assert_eq!(granted(Credential::Key(&key(&[Scope::Admin]))), Scope::ALL);
    }

    #[test]
    fn every_action_is_in_the_table_once() {
        for action in ALL {
            assert_eq!(TABLE.iter().filter(|(listed, ..)| *listed == action).count(), 1, "{action:?}");
            assert!(!required(action).is_empty());
        }
    }
}
