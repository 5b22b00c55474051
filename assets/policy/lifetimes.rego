# The longest lifetimes, by kind and environment. The figures and the row of NIST SP 800-57 that each is derived from
# are in `lifetimes.json`.
package countersign.issue

import rego.v1

cap contains seconds if {
	seconds := data.lifetimes.cap_s[input.request.kind][input.environment.name]
}

deny contains {"id": "ttl.cap", "reason": sprintf("asked for %d s; at most %d s for this %s in %s", [input.request.ttl_s, max_ttl, input.request.kind, input.environment.name])} if {
	max_ttl > 0
	input.request.ttl_s > max_ttl
}
