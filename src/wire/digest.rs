//! What an approval is bound to: SHA-256 over a plan's canonical bytes. Broker and console each compute it
//! from the plan itself, so neither takes the other's word for what is approved.

use super::{Digest, Plan, RevocationPlan};
use crate::canonical;
use std::collections::BTreeMap;

/// The plan's canonical form: JSON by RFC 8785 (JCS), the bytes that an approval covers.
pub fn plan_bytes(plan: &Plan) -> Vec<u8> {
    canonical::to_vec(plan)
        .expect("a plan has string keys, whole numbers and no map that could fail")
}

/// SHA-256 of [`plan_bytes`].
pub fn plan_digest(plan: &Plan) -> Digest {
    sha256(&plan_bytes(plan))
}

/// SHA-256 of a policy's files, by name, in their canonical form: what an approval of a policy is bound to.
pub fn policy_digest(files: &BTreeMap<String, String>) -> Digest {
    sha256(&canonical::to_vec(files).expect("names and texts are strings"))
}

/// SHA-256 of a revocation plan's canonical form: only what has this digest is executed as it was looked at.
pub fn revocation_digest(plan: &RevocationPlan) -> Digest {
    sha256(&canonical::to_vec(plan).expect("a plan has string keys and whole numbers"))
}

fn sha256(bytes: &[u8]) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    Digest(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientId, CredentialId, Environment, Kind, PlannedRevocation};

    fn plan() -> Plan {
        Plan {
            credential: "payments/checkout-db".into(),
            environment: Environment::Production,
            kind: Kind::VaultLease,
            issuer: "openbao".into(),
            role: "database/creds/payments-rw".into(),
            client: ClientId::from_bits(7),
            audience: "https://payments.example".into(),
            scopes: vec!["db:write".into(), "db:*".into()],
            ttl_s: 3600,
            destination: None,
        }
    }

    #[test]
    fn the_bytes_are_sorted_and_bare() {
        let text = String::from_utf8(plan_bytes(&plan())).expect("JSON is UTF-8");
        assert!(text.starts_with(r#"{"audience":"https://payments.example","client":"cli_"#));
        assert!(text.ends_with(r#""scopes":["db:write","db:*"],"ttl_s":3600}"#));
        assert!(!text.contains(' '));
    }

    #[test]
    fn a_revocation_plan_is_its_filter_its_head_and_its_members() {
        let member = |bits, versions: &[u32]| PlannedRevocation {
            credential: CredentialId::from_bits(bits),
            versions: versions.to_vec(),
        };
        let base = RevocationPlan {
            filter: "owner=payments".into(),
            head: 7,
            members: vec![member(1, &[1]), member(2, &[3, 4])],
        };
        let mut others = vec![base.clone(); 4];
        others[0].filter.push('s');
        others[1].head += 1;
        others[2].members.pop();
        others[3].members[1].versions.pop();
        for other in others {
            assert_ne!(revocation_digest(&other), revocation_digest(&base));
        }
    }

    #[test]
    fn any_change_changes_the_digest() {
        let base = plan_digest(&plan());
        let mut longer = plan();
        longer.ttl_s += 1;
        let mut wider = plan();
        wider.scopes.push("db:drop".into());
        assert_ne!(plan_digest(&longer), base);
        assert_ne!(plan_digest(&wider), base);
        assert_eq!(plan_digest(&plan()), base);
    }
}
