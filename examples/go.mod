module example.com/h5im/examples

go 1.25.0

require example.com/h5im v0.0.0

replace example.com/h5im => ../
