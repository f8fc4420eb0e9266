# Runs a published verifier for Ruby: one request a line on standard input, one verdict a line.
#
# Usage: verifier_loop.rb FILE
require "json"
require File.expand_path(ARGV.shift)

$stdin.each_line do |line|
  token, dataset = JSON.parse(line)
  verdict =
    begin
      { accepted: { sub: verify(token, dataset)["sub"] } }
    rescue JWT::DecodeError => error
      { refused: error.inspect }
    rescue NoKeySet
      { "no key set": true }
    rescue StandardError => error
      { crashed: error.inspect }
    end
  $stdout.puts(JSON.generate(verdict))
  $stdout.flush
end
