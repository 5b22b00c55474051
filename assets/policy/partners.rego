# Keys of partners: clients outside the company, told by their name. They hold narrow, listed scopes on an API key, and
# somebody always looks outside development.
package countersign.issue

import rego.v1

partner if startswith(input.client.name, data.partners.prefix)

deny contains {"id": "partner.kind", "reason": "a partner holds an api_key, nothing that reaches inside"} if {
	partner
	input.request.kind != "api_key"
}

deny contains {"id": "partner.scope", "reason": sprintf("%s is not for partners; they may hold %s", [scope, concat(", ", data.partners.scopes)])} if {
	partner
	some scope in input.request.scopes
	not scope in data.partners.scopes
}

cap contains seconds if {
	seconds := data.partners.cap_s[input.environment.name]
	partner
}

demand contains {"id": "partner.approval", "reason": "a partner's key needs one from security or partnerships", "count": 1, "groups": ["security", "partnerships"], "step_up": "none"} if {
	partner
	input.environment.name != "development"
}
