# What differs between development, staging and production, and that nothing crosses from one to another.
package countersign.issue

import rego.v1

deny contains {"id": "audience.crosses", "reason": sprintf("audience %s is production, the request is for %s", [input.request.audience, input.environment.name])} if {
	not production
	regex.match(`(^|[._/:-])prod(uction)?($|[._/:-])`, input.request.audience)
}

deny contains {"id": "reason.required", "reason": "production asks for a reason"} if {
	production
	not input.request.reason_present
}
