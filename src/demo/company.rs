//! Who is there, as `assets/demo/company.toml` describes it, and a small deterministic source of variety.

use crate::domain::{Kind, Role, Tier};
use serde::Deserialize;

/// A person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Handle.
    pub name: String,
    /// Name.
    pub display_name: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Roles, held everywhere.
    pub roles: Vec<Role>,
}

/// A team and its services.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Name.
    pub name: String,
    /// Services, each a client per environment.
    pub services: Vec<String>,
    /// Scopes that its keys have.
    pub scopes: Vec<String>,
    /// Tier of its clients.
    pub tier: Tier,
    /// Regulatory tags of its credentials.
    pub tags: Vec<String>,
}

/// What something else issued before.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legacy {
    /// Kind.
    pub kind: Kind,
    /// What issued it.
    pub issuer: String,
    /// Stems of names.
    pub names: Vec<String>,
}

/// Sentences.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Why something is asked for.
    pub reasons: Vec<String>,
    /// Why something is denied.
    pub denials: Vec<String>,
    /// Why something is revoked.
    pub revocations: Vec<String>,
    /// What approvers say.
    pub approvals: Vec<String>,
}

/// The company.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Company {
    /// People.
    pub person: Vec<Person>,
    /// Teams.
    pub team: Vec<Team>,
    /// What was there before.
    pub legacy: Vec<Legacy>,
    /// Sentences.
    pub words: Words,
}

impl Company {
    /// The one that ships.
    pub fn shipped() -> Self {
        toml::from_str(include_str!("../../assets/demo/company.toml"))
            .expect("the shipped company is valid; a test reads it")
    }
}

/// SplitMix64: the same seed makes the same company. Not for secrets.
#[derive(Debug, Clone)]
pub struct Variety(u64);

impl Variety {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// A number in `from..to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_company_is_valid() {
        let company = Company::shipped();
        assert!(
            company
                .person
                .iter()
                .any(|person| person.roles.contains(&Role::Approver))
        );
        assert!(!company.team.is_empty() && !company.legacy.is_empty());
    }
}
