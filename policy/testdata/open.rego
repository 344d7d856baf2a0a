package gatehouse.routes

# route open  (testdata/shop.yaml:3): anyone, decided without asking OPA
