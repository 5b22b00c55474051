# Break-glass: skipping the quorum in an emergency. Who may, for how long, and who has to look at it afterwards is in
# `break_glass.json`.
package countersign.issue

import rego.v1

default on_call := false

on_call if {
	not input.requester.robot
	some group in input.requester.groups
	group in data.break_glass.groups
	some role in input.requester.roles
	role in data.break_glass.roles
}

deny contains {"id": "break_glass.who", "reason": sprintf("breaking glass is for people of %s who are %s", [concat(" or ", data.break_glass.groups), concat(" or ", data.break_glass.roles)])} if {
	input.request.break_glass
	not on_call
}

deny contains {"id": "break_glass.reason", "reason": "breaking glass asks for a reason"} if {
	input.request.break_glass
	not input.request.reason_present
}

cap contains seconds if {
	seconds := data.break_glass.cap_s
	input.request.break_glass
}

break_glass_review := {
	"quorum": {"count": data.break_glass.review.count, "groups": data.break_glass.review.groups},
	"within_s": data.break_glass.review.within_s,
}
