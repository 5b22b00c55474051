# What can be asked for at all: known words, scopes and role names of the right shape, and a requester who asks.
package countersign.issue

import rego.v1

environments := {"development", "staging", "production"}

leased := {"database_role", "vault_lease"} # a role of a database: its scopes are role names

scoped := {"api_key", "jwt"} # opaque or signed token: its scopes are `resource:action`

scope_pattern := `^(\*|[a-z][a-z0-9_./-]{0,62}(:(\*|[a-z][a-z0-9_./-]{0,62})){1,3})$`

# At most 63 of these, the first a letter. Patterns cost some 4 µs each time, a tenth of a decision.
role_name(scope) if {
	scope != ""
	count(scope) <= 63
	trim(scope, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
	trim_left(scope, "0123456789_-") == scope
}

production if input.environment.name == "production"

staging if input.environment.name == "staging"

lease if input.request.kind in leased

wildcards contains scope if {
	some scope in input.request.scopes
	contains(scope, "*")
}

admins contains scope if {
	some scope in input.request.scopes
	strings.any_suffix_match(scope, ["admin", "owner", "root", "superuser"])
	regex.match(`(^|[:_./-])(admin|owner|root|superuser)$`, scope)
}

writes contains scope if {
	some scope in input.request.scopes
	strings.any_suffix_match(scope, ["rw", "write", "create", "update", "delete", "refund", "manage"])
	regex.match(`(^|[:_./-])(rw|write|create|update|delete|refund|manage)$`, scope)
}

deny contains {"id": "environment.unknown", "reason": sprintf("no such environment: %s; known are development, staging, production", [input.environment.name])} if {
	not input.environment.name in environments
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
	not role_name(scope)
}

deny contains {"id": "scope.unknown", "reason": sprintf("not a scope: %s; expected resource:action", [scope])} if {
	input.request.kind in scoped
	some scope in input.request.scopes
	not regex.match(scope_pattern, scope)
}

deny contains {"id": "ttl.zero", "reason": "a lifetime of nothing; ask for at least a second"} if {
	input.request.ttl_s == 0
}

deny contains {"id": "requester.readonly", "reason": "viewers and auditors look, they do not ask for credentials"} if {
	count(input.requester.roles) > 0
	every role in input.requester.roles {
		role in {"viewer", "auditor"}
	}
}
