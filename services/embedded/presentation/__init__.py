"""What `lossline demo` shows and writes: live progress, loss tables in the console, a report in one HTML file."""
