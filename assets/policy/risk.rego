# Risk: a sum of factors, each a signal with its weight from `weights.json`. The broker refuses a score that is not the
# sum of the factors shown, cut to 0 to 100.
package countersign.issue

import rego.v1

signals contains {"id": "environment.production", "reason": "production"} if production

signals contains {"id": "environment.staging", "reason": "staging"} if staging

signals contains {"id": "kind.database", "reason": "direct access to a database"} if lease

signals contains {"id": "scope.wildcard", "reason": sprintf("%d wildcard scopes", [count(wildcards)])} if count(wildcards) > 0

signals contains {"id": "scope.admin", "reason": sprintf("%d administrative scopes", [count(admins)])} if count(admins) > 0

signals contains {"id": "scope.write", "reason": sprintf("%d scopes that change data", [count(writes)])} if count(writes) > 0

signals contains {"id": "scope.new", "reason": sprintf("%d scopes that this requester was never issued", [count(input.history.new_scopes)])} if {
	count(input.history.new_scopes) > 0
}

signals contains {"id": "client.first_use", "reason": "the client never had a credential"} if input.history.client_first_use

signals contains {"id": "client.tier", "reason": sprintf("client of tier %s", [input.client.tier])} if {
	input.client.tier in {"high", "critical"}
}

signals contains {"id": "data.regulated", "reason": sprintf("regulated: %s", [concat(", ", input.data.classes)])} if {
	count(input.data.classes) > 0
}

signals contains {"id": "lifetime.long", "reason": "more than half of the longest lifetime"} if {
	max_ttl > 0
	input.request.ttl_s * 2 > max_ttl
}

signals contains {"id": "requester.burst", "reason": sprintf("%d requests from this requester in the last hour", [input.history.requests_last_hour])} if {
	input.history.requests_last_hour > data.weights.burst_after
}

signals contains {"id": "hours.off", "reason": "outside working hours (UTC)"} if off_hours

signals contains {"id": "anomaly.open", "reason": sprintf("%d open findings", [count(input.anomalies)])} if {
	count(input.anomalies) > 0
}

signals contains {"id": "token.short_read", "reason": "a signed token that only reads and ends by itself soon"} if {
	input.request.kind == "jwt"
	count(wildcards) + count(admins) + count(writes) == 0
	count(input.data.classes) == 0
	not input.client.tier in {"high", "critical"}
}

off_hours if input.time.weekday >= 6

off_hours if input.time.hour < data.weights.working_hours.from

off_hours if input.time.hour >= data.weights.working_hours.to

factors contains {"id": signal.id, "points": points, "reason": signal.reason} if {
	some signal in signals
	points := data.weights.points[signal.id]
}

# A signal without a weight would be a risk that nobody counts.
deny contains {"id": "risk.unweighted", "reason": sprintf("a fault of the policy: weights.json has no weight for %s", [signal.id])} if {
	count(factors) < count(signals)
	some signal in signals
	not is_number(data.weights.points[signal.id])
}

score := max([0, min([100, sum([factor.points | some factor in factors])])])

tier := "critical" if score >= data.weights.tiers.critical

else := "high" if score >= data.weights.tiers.high

else := "elevated" if score >= data.weights.tiers.elevated

else := "low"
