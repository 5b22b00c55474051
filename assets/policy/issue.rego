# Countersign's shipped issuance policy: default deny, and a reason for everything it says.
#
# The broker asks for `data.countersign.issue.result` and refuses anything that is not exactly that shape. `input` is
# the fixed structure of facts; a path that does not exist there is refused when the policy is loaded. No clock, no
# network: the same facts always give the same decision.
#
# One subject a file, all in this package. A file says `deny` (what is refused), `demand` (who has to agree), `cap` (the
# longest lifetime) or `signals` (what adds to the risk); this one puts them together. `change.json` says who may change
# any of it.
package countersign.issue

import rego.v1

denied if count(deny) > 0

# The shortest cap wins. None at all grants no lifetime, and so nothing.
default max_ttl := 0

max_ttl := min(cap)

# The largest demand wins; who may answer it is what the largest demands say, and the strictest proof is asked for.
approvals := max({0} | {need.count | some need in demand})

deciders contains group if {
	some need in demand
	need.count == approvals
	some group in need.groups
}

strictness := {"none": 0, "ssh_signature": 1, "hardware_key": 2}

strictest := max({0} | {strictness[need.step_up] | some need in demand})

default outcome := "deny"

outcome := "allow" if {
	not denied
	approvals == 0
}

outcome := "allow" if {
	not denied
	input.request.break_glass
}

outcome := "needs" if {
	not denied
	approvals > 0
	not input.request.break_glass
}

default quorum := null

quorum := {"count": approvals, "groups": [group | some group in deciders]} if outcome == "needs"

default step_up := "none"

step_up := word if {
	outcome == "needs"
	some word, rank in strictness
	rank == strictest
}

step_up := "ssh_signature" if {
	outcome == "allow"
	input.request.break_glass
}

default hold := false

hold if {
	outcome == "needs"
	count(input.anomalies) > 0
}

default review := null

review := break_glass_review if {
	outcome == "allow"
	input.request.break_glass
}

rules contains {"id": d.id, "effect": "deny", "reason": d.reason} if some d in deny

rules contains {"id": d.id, "effect": "warn", "reason": d.reason} if some d in demand

rules contains {"id": "anomaly.hold", "effect": "warn", "reason": "held until somebody has looked at the open findings"} if hold

rules contains {"id": "break_glass.used", "effect": "warn", "reason": "the quorum is skipped; others must look at it afterwards"} if review != null

rules contains {"id": "allow.low_risk", "effect": "ok", "reason": "nothing asks for a person"} if {
	outcome == "allow"
	approvals == 0
}

result := {
	"outcome": outcome,
	"quorum": quorum,
	"step_up": step_up,
	"hold": hold,
	"review": review,
	"max_ttl_s": max_ttl,
	"approval_ttl_s": data.tiers.approval_ttl_s,
	"risk": {"score": score, "tier": tier, "factors": factors},
	"rules": rules,
}
