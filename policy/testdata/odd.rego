package gatehouse.routes

# route "très \"odd\"\nname"  (testdata/shop.yaml:19)
allow["très \"odd\"\nname"] if users_alice_or_8d0c

allow["très \"odd\"\nname"] if signed_in

allow["très \"odd\"\nname"] if {
	client_orders_job
	ip_10_0_0_0_8_or_2001_db8_32
}

allow["très \"odd\"\nname"] if {
	claim_department_finance_or_hr
	claim_https_example_com_level_3
	claim_active_true
	claim_in_x
	claim_default_y
	claim_t_z
	claim_a_b_a_nb
	claim_x_1_1_5
}

# signed-in  (testdata/shop.yaml:7, testdata/shop.yaml:21, testdata/shop.yaml:31, …)
signed_in if input.user

# users: [alice, 8d0c]  (testdata/shop.yaml:20)
users_alice_or_8d0c if input.user.subject in {"alice", "8d0c"}

users_alice_or_8d0c if input.user.username in {"alice", "8d0c"}

# clients: [orders-job]  (testdata/shop.yaml:22, testdata/shop.yaml:27)
client_orders_job if input.credential.client == "orders-job"

# ip: [10.0.0.0/8, 2001:db8::/32]  (testdata/shop.yaml:22)
ip_10_0_0_0_8_or_2001_db8_32 if {
	some network in ["10.0.0.0/8", "2001:db8::/32"]
	net.cidr_contains(network, input.request.client_ip)
}

# claims: {department: ["finance", "hr"]}  (testdata/shop.yaml:23)
claim_department_finance_or_hr if {
	some value in input.claim_values.department
	value in {"finance", "hr"}
}

# claims: {https://example.com/level: 3}  (testdata/shop.yaml:23)
claim_https_example_com_level_3 if 3 in input.claim_values["https://example.com/level"]

# claims: {active: true}  (testdata/shop.yaml:23)
claim_active_true if true in input.claim_values.active

# claims: {in: "x"}  (testdata/shop.yaml:23)
claim_in_x if "x" in input.claim_values["in"]

# claims: {default: "y"}  (testdata/shop.yaml:23)
claim_default_y if "y" in input.claim_values["default"]

# claims: {"été": "z"}  (testdata/shop.yaml:23)
claim_t_z if "z" in input.claim_values["été"]

# claims: {a-b: "a\nb"}  (testdata/shop.yaml:23)
claim_a_b_a_nb if "a\nb" in input.claim_values["a-b"]

# claims: {x_1: -1.5}  (testdata/shop.yaml:23)
claim_x_1_1_5 if -1.5 in input.claim_values.x_1
