# Countersign's shipped issuance policy: default deny, and a reason for everything it says.
#
# The broker asks for `data.countersign.issue.result` and refuses anything that is not exactly that
# shape. `input` is the fixed structure `policy::Facts`; a path that does not exist there is refused
# when the policy is loaded. No clock, no network: the same facts always give the same decision.
package countersign.issue

import rego.v1

# ---- what exists -------------------------------------------------------------------------------

environments := {"development", "staging", "production"}

leased := {"database_role", "vault_lease"} # a role of a database: its scopes are role names

scoped := {"api_key", "jwt"} # opaque or signed token: its scopes are `resource:action`

role_pattern := `^[a-z][a-z0-9_-]{0,62}$`

scope_pattern := `^(\*|[a-z][a-z0-9_./-]{0,62}(:(\*|[a-z][a-z0-9_./-]{0,62})){1,3})$`

# The longest lifetime in seconds, by kind and environment.
ttl_caps := {
	"api_key": {"development": 31536000, "staging": 15552000, "production": 7776000},
	"jwt": {"development": 86400, "staging": 43200, "production": 3600},
	"database_role": {"development": 604800, "staging": 86400, "production": 28800},
	"vault_lease": {"development": 604800, "staging": 86400, "production": 28800},
}

default max_ttl := 0

max_ttl := ttl_caps[input.request.kind][input.request.environment]

# ---- what this request is ----------------------------------------------------------------------

production if input.request.environment == "production"

staging if input.request.environment == "staging"

lease if input.request.kind in leased

wildcards contains scope if {
	some scope in input.request.scopes
	contains(scope, "*")
}

admins contains scope if {
	some scope in input.request.scopes
	regex.match(`(^|[:_./-])(admin|owner|root|superuser)$`, scope)
}

writes contains scope if {
	some scope in input.request.scopes
	regex.match(`(^|[:_./-])(rw|write|create|update|delete|refund|manage)$`, scope)
}

privileged if count(wildcards) + count(admins) > 0

powerful if privileged

powerful if count(writes) > 0

sensitive if input.request.client_tier in {"high", "critical"}

sensitive if count(input.request.regulatory_tags) > 0

short_lived_read if {
	input.request.kind == "jwt"
	not powerful
	not sensitive
}

# ---- refusals ----------------------------------------------------------------------------------

deny contains {"id": "environment.unknown", "reason": sprintf("no such environment: %s; known are development, staging, production", [input.request.environment])} if {
	not input.request.environment in environments
}

deny contains {"id": "kind.unknown", "reason": sprintf("no such kind: %s; known are api_key, jwt, database_role, vault_lease", [input.request.kind])} if {
	not input.request.kind in leased
	not input.request.kind in scoped
}

deny contains {"id": "scope.none", "reason": "a credential without a scope grants nothing; name at least one"} if {
	count(input.request.scopes) == 0
}

deny contains {"id": "scope.unknown", "reason": sprintf("not a role name: %s; expected lower-case letters, digits, - and _", [scope])} if {
	input.request.kind in leased
	some scope in input.request.scopes
	not regex.match(role_pattern, scope)
}

deny contains {"id": "scope.unknown", "reason": sprintf("not a scope: %s; expected resource:action", [scope])} if {
	input.request.kind in scoped
	some scope in input.request.scopes
	not regex.match(scope_pattern, scope)
}

deny contains {"id": "scope.one_role", "reason": "a lease carries exactly one role; ask for each separately"} if {
	lease
	count(input.request.scopes) > 1
}

deny contains {"id": "audience.crosses", "reason": sprintf("audience %s is production, the request is for %s", [input.request.audience, input.request.environment])} if {
	not production
	regex.match(`(^|[._/:-])prod(uction)?($|[._/:-])`, input.request.audience)
}

deny contains {"id": "ttl.zero", "reason": "a lifetime of nothing; ask for at least a second"} if {
	input.request.ttl_s == 0
}

deny contains {"id": "ttl.cap", "reason": sprintf("asked for %d s; at most %d s for %s in %s", [input.request.ttl_s, max_ttl, input.request.kind, input.request.environment])} if {
	max_ttl > 0
	input.request.ttl_s > max_ttl
}

deny contains {"id": "reason.required", "reason": "production asks for a reason"} if {
	production
	not input.request.reason_present
}

deny contains {"id": "requester.readonly", "reason": "viewers and auditors look, they do not ask for credentials"} if {
	count(input.requester.roles) > 0
	every role in input.requester.roles {
		role in {"viewer", "auditor"}
	}
}

# ---- how many have to agree: the largest demand wins -------------------------------------------

demand contains {"count": 2, "id": "quorum.production_database", "reason": "a database role in production needs two from security"} if {
	production
	lease
}

demand contains {"count": 2, "id": "quorum.production_powerful", "reason": "write, admin or wildcard scopes in production need two from security"} if {
	production
	powerful
}

demand contains {"count": 1, "id": "quorum.production", "reason": "production needs one from security"} if {
	production
	not short_lived_read
}

demand contains {"count": 1, "id": "quorum.staging_elevated", "reason": "admin or wildcard scopes in staging need one from security"} if {
	staging
	privileged
}

demand contains {"count": 1, "id": "quorum.staging_sensitive", "reason": "write access to a sensitive client in staging needs one from security"} if {
	staging
	powerful
	sensitive
}

approvals := max({0} | {need.count | some need in demand})

# ---- risk: a sum of factors --------------------------------------------------------------------

factors contains {"id": "environment.production", "points": 30, "reason": "production"} if production

factors contains {"id": "environment.staging", "points": 10, "reason": "staging"} if staging

factors contains {"id": "kind.database", "points": 15, "reason": "direct access to a database"} if lease

factors contains {"id": "scope.wildcard", "points": 25, "reason": sprintf("%d wildcard scopes", [count(wildcards)])} if count(wildcards) > 0

factors contains {"id": "scope.admin", "points": 25, "reason": sprintf("%d administrative scopes", [count(admins)])} if count(admins) > 0

factors contains {"id": "scope.write", "points": 15, "reason": sprintf("%d scopes that change data", [count(writes)])} if count(writes) > 0

factors contains {"id": "client.tier", "points": 10, "reason": sprintf("client of tier %s", [input.request.client_tier])} if {
	input.request.client_tier in {"high", "critical"}
}

factors contains {"id": "client.regulated", "points": 10, "reason": sprintf("regulated: %s", [concat(", ", input.request.regulatory_tags)])} if {
	count(input.request.regulatory_tags) > 0
}

factors contains {"id": "lifetime.long", "points": 5, "reason": "more than half of the longest lifetime"} if {
	max_ttl > 0
	input.request.ttl_s * 2 > max_ttl
}

factors contains {"id": "requester.burst", "points": 15, "reason": sprintf("%d requests from this requester in the last hour", [input.context.requests_last_hour])} if {
	input.context.requests_last_hour > 20
}

factors contains {"id": "hours.off", "points": 5, "reason": "outside working hours (UTC)"} if off_hours

off_hours if input.context.weekday >= 6

off_hours if input.context.hour < 6

off_hours if input.context.hour >= 20

score := min([100, sum([factor.points | some factor in factors])])

tier := "critical" if score >= 75

else := "high" if score >= 50

else := "elevated" if score >= 25

else := "low"

# ---- the answer --------------------------------------------------------------------------------

default outcome := "deny"

outcome := "allow" if {
	count(deny) == 0
	approvals == 0
}

outcome := "needs" if {
	count(deny) == 0
	approvals > 0
}

quorum := {"count": approvals, "groups": ["security"]} if outcome == "needs"

else := null

rules contains {"id": d.id, "effect": "deny", "reason": d.reason} if some d in deny

rules contains {"id": d.id, "effect": "warn", "reason": d.reason} if some d in demand

rules contains {"id": "allow.low_risk", "effect": "ok", "reason": "nothing asks for a person"} if outcome == "allow"

result := {
	"outcome": outcome,
	"quorum": quorum,
	"max_ttl_s": max_ttl,
	"approval_ttl_s": 14400,
	"risk": {"score": score, "tier": tier, "factors": factors},
	"rules": rules,
}
