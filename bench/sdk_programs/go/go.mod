module github.com/jobwire/jobwire/bench/sdkprograms

go 1.22

require github.com/jobwire/jobwire/sdk-go v0.0.0

replace github.com/jobwire/jobwire/sdk-go => ../../../sdk-go
