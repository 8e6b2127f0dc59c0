module github.com/jobwire/jobwire/sdk-go

go 1.22
