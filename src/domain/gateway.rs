//! Gateways: where credentials are accepted or refused outside the broker, and how far each has come with what was
//! revoked.
//!
//! A gateway that asks the broker about every call refuses a revoked credential as soon as it asks. One that may keep
//! an answer refuses it once the longest time for that is over. A receiver decides by itself, from what it is told:
//! only its own acknowledgement says that it refuses.

use super::{Credential, Digest, Environment, GatewayId, Kind, Text, Token, check, words::words};
use crate::domain::event::is_zero;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

/// The most gateways that are in service at once: one leaf must name them all.
pub const GATEWAYS_MAX: usize = 1_024;
/// The most routes of one gateway.
pub const ROUTES_MAX: usize = 32;
/// The longest prefix of a route, in bytes.
pub const PREFIX_MAX: usize = 256;
/// The longest that a gateway may be allowed to keep an answer, in seconds.
pub const CACHE_MAX_S: u64 = 3_600;
/// The longest objective, in seconds.
pub const OBJECTIVE_MAX_S: u64 = 86_400;
/// What a cache may add to its own bound: gateways count whole seconds.
const CACHE_SLACK: Duration = Duration::seconds(1);

words! {
    /// How a gateway learns whether a credential is accepted.
    Profile, "profile" {
        /// nginx, by `auth_request`.
        Nginx => "nginx",
        /// Envoy, by `ext_authz` over HTTP.
        Envoy => "envoy",
        /// `HAProxy`, by its Lua client.
        Haproxy => "haproxy",
        /// Whatever asks by token introspection (RFC 7662).
        Introspection => "introspection",
        /// Whatever is told and decides by itself: it acknowledges what it has applied.
        Receiver => "receiver",
    }
}

impl Profile {
    /// Whether it asks the broker, and so needs no telling.
    pub const fn asks(self) -> bool {
        !matches!(self, Self::Receiver)
    }
}

/// What a gateway wants of those who come by one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What the path starts with, up to the end of a segment: `/orders` covers `/orders` and `/orders/7`, not
    /// `/orders-old`. The longest that covers a path counts.
    #[schema(example = "/orders", max_length = 256)]
    pub prefix: String,
    /// For which methods, in capitals; all of them if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The scope that is needed.
    #[schema(example = "orders:read", max_length = 128)]
    pub scope: String,
}

impl Route {
    /// Whether it is about such a call.
    pub fn covers(&self, method: &str, path: &str) -> bool {
        let beneath = path.strip_prefix(self.prefix.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.prefix.ends_with('/')
        });
        beneath && (self.methods.is_empty() || self.methods.iter().any(|named| named == method))
    }
}

/// One gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Which gateway.
    pub id: GatewayId,
    /// Unique among those in service, ASCII, without slashes: `edge-fra-1`.
    pub name: String,
    /// How it learns what is accepted.
    pub profile: Profile,
    /// Where it stands. Credentials of other environments are refused there.
    pub environment: Environment,
    /// The audiences that it guards; all of its environment if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<Text>,
    /// What is needed where; where none is named, whatever is accepted may go everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Within how many seconds it should refuse what was revoked.
    pub objective_s: u64,
    /// For how many seconds it may keep an answer; 0 if it asks about every call.
    pub cache_s: u64,
    /// Who registered it, by handle.
    pub by: String,
    /// Since when it is in service.
    pub registered_at: DateTime<Utc>,
    /// How it proves that it is this gateway; those that were withdrawn are gone.
    pub tokens: Vec<Token>,
    /// Set once it was taken out of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<DateTime<Utc>>,
    /// Sequence of the last change.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
}

impl Gateway {
    /// Whether a credential is accepted there at all, and so whether its revocation concerns it.
    pub fn guards(&self, credential: &Credential) -> bool {
        // What no gateway is shown, only those hear of who wants to hear of everything.
        let shown = matches!(credential.kind, Kind::ApiKey | Kind::Jwt);
        credential.environment == self.environment
            && self.guards_audience(&credential.audience)
            && (shown || !self.profile.asks())
    }

    /// Whether it stands for this audience.
    pub fn guards_audience(&self, audience: &Text) -> bool {
        self.audiences.is_empty() || self.audiences.contains(audience)
    }

    /// For how long after a revocation it may still accept what was revoked; none if that is for itself to say.
    pub fn bound(&self) -> Option<Duration> {
        let cache = Duration::seconds(self.cache_s.cast_signed());
        match (self.profile.asks(), self.cache_s) {
            (false, _) => None,
            (true, 0) => Some(Duration::zero()),
            (true, _) => Some(cache + CACHE_SLACK),
        }
    }

    /// Its token of this digest. Whether it is still valid is for the caller to check.
    pub fn token(&self, digest: &Digest) -> Option<&Token> {
        self.tokens.iter().find(|token| token.digest == *digest)
    }

    /// The scope that such a call needs.
    ///
    /// # Errors
    /// [`NoRoute`] if there are routes, and none covers it.
    pub fn needs(&self, method: &str, path: &str) -> Result<Option<&str>, NoRoute> {
        if self.routes.is_empty() {
            return Ok(None);
        }
        self.routes
            .iter()
            .filter(|route| route.covers(method, path))
            .max_by_key(|route| route.prefix.len())
            .map(|route| Some(route.scope.as_str()))
            .ok_or(NoRoute)
    }
}

/// A call that no route covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoute;

impl check::Check {
    /// A gateway as it is to be registered.
    pub(super) fn gateway(&mut self, gateway: &Gateway) {
        self.name("/name", &gateway.name);
        if gateway.name.contains('/') {
            self.refuse("/name", "is part of an address: expected no slash");
        }
        self.scopes("/audiences", &gateway.audiences);
        if !(1..=OBJECTIVE_MAX_S).contains(&gateway.objective_s) {
            self.refuse(
                "/objective_s",
                format!("expected 1 to {OBJECTIVE_MAX_S} seconds"),
            );
        }
        if gateway.cache_s > CACHE_MAX_S {
            self.refuse(
                "/cache_s",
                format!("expected at most {CACHE_MAX_S} seconds"),
            );
        }
        if !gateway.profile.asks() && gateway.cache_s > 0 {
            self.refuse("/cache_s", "a receiver acknowledges; expected 0");
        }
        if gateway
            .bound()
            .is_some_and(|bound| bound > Duration::seconds(gateway.objective_s.cast_signed()))
        {
            self.refuse(
                "/objective_s",
                "expected more than it may keep an answer, and a second",
            );
        }
        if gateway.routes.len() > ROUTES_MAX {
            self.refuse("/routes", format!("expected at most {ROUTES_MAX}"));
        } else {
            for (index, route) in gateway.routes.iter().enumerate() {
                self.route(&format!("/routes/{index}"), route);
            }
        }
        if gateway.profile == Profile::Introspection && !gateway.routes.is_empty() {
            self.refuse("/routes", "introspection tells the scopes; expected none");
        }
    }

    fn route(&mut self, pointer: &str, route: &Route) {
        let plain = route.prefix.bytes().all(|byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'%' | b';' | b'?' | b'#' | b'\\')
        });
        if !plain
            || !route.prefix.starts_with('/')
            || route.prefix.contains("//")
            || route.prefix.len() > PREFIX_MAX
        {
            self.refuse(
                format!("{pointer}/prefix"),
                format!("expected a plain path of at most {PREFIX_MAX} bytes, such as /orders"),
            );
        }
        let shaped = |method: &String| {
            (1..=16).contains(&method.len()) && method.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        if route.methods.len() > 16 || !route.methods.iter().all(shaped) {
            self.refuse(
                format!("{pointer}/methods"),
                "expected at most 16 methods in capitals",
            );
        }
        self.scope(&format!("{pointer}/scope"), &route.scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_ends_with_its_segment() {
        let route = Route {
            prefix: "/orders".into(),
            methods: vec!["GET".into()],
            scope: "orders:read".into(),
        };
        for (method, path, covered) in [
            ("GET", "/orders", true),
            ("GET", "/orders/7", true),
            ("GET", "/orders-old", false),
            ("POST", "/orders", false),
            ("GET", "/", false),
        ] {
            assert_eq!(route.covers(method, path), covered, "{method} {path}");
        }
    }
}
