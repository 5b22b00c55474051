# The tier of the risk decides who has to agree, by environment: `tiers.json`.
package countersign.issue

import rego.v1

asked := data.tiers.ask[input.environment.name][tier]

demand contains {
	"id": sprintf("tier.%s", [tier]),
	"reason": sprintf("%s risk in %s needs %d from %s", [tier, input.environment.name, asked.count, concat(" or ", asked.groups)]),
	"count": asked.count,
	"groups": asked.groups,
	"step_up": asked.step_up,
} if {
	asked.count > 0
}

# An environment or a tier that the table leaves out would be one in which nobody is asked.
deny contains {"id": "tiers.unlisted", "reason": sprintf("a fault of the policy: tiers.json does not say who decides %s risk in %s", [tier, input.environment.name])} if {
	input.environment.name in environments
	not asked
}
