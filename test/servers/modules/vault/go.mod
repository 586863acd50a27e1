module chainsmith.test/vault

go 1.20

require github.com/hashicorp/vault v1.13.1

replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.8.1
