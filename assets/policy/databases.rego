# Roles of databases, leased from a vault or made by Countersign itself: `ledger-ro`, `ledger-rw`, `ledger-admin`.
package countersign.issue

import rego.v1

deny contains {"id": "database.one_role", "reason": "a lease carries exactly one role; ask for each separately"} if {
	count(input.request.scopes) > 1
	lease
}

deny contains {"id": "database.admin_by_robot", "reason": "an administrative role in production is asked for by a person"} if {
	input.requester.robot
	count(admins) > 0
	production
	lease
}

cap contains seconds if {
	count(admins) > 0
	lease
	seconds := data.databases.admin_cap_s[input.environment.name]
}

demand contains {"id": "database.production", "reason": "a database role in production needs two from security", "count": 2, "groups": ["security"], "step_up": "none"} if {
	production
	lease
}
