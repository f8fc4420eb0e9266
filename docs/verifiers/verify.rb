# Verifies download tokens with ruby-jwt: gem install jwt
require "json"
require "jwt"
require "net/http"

ISSUER = "http://127.0.0.1:8080"
AUDIENCE = "cedargate-downloads"
LEEWAY = 10 # seconds by which clocks may differ
LIFETIME = 120 # seconds that a token lives at most
MAX_LENGTH = 4096 # characters of a token at most
MAX_AGE = 300 # seconds after which the key set is fetched again
PAUSE = 5 # seconds between two attempts to fetch it
UUID = /\A(?:urn:uuid:)?(\h{8})-?(\h{4})-?(\h{4})-?(\h{4})-?(\h{12})\z/i

# No key set could be fetched since the start.
class NoKeySet < StandardError; end

LOCK = Mutex.new
$keys, $fetched, $tried = {}, -Float::INFINITY, -Float::INFINITY

def fetch_keys
  uri = URI("#{ISSUER}/.well-known/jwks.json")
  options = { use_ssl: uri.scheme == "https", open_timeout: 5, read_timeout: 5 }
  response = Net::HTTP.start(uri.host, uri.port, **options) { |http| http.get(uri.path) }
  found = JSON.parse(response.body, symbolize_names: true)[:keys]
  raise "status #{response.code}" unless response.code == "200" && found.any?
  found.to_h { |key| [key[:kid], JWT::JWK.import(key).keypair] }
end

# Fetches the key set if it is old or lacks the key; old keys stay until there are new ones.
def find_key(kid)
  LOCK.synchronize do
    now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    if (!$keys.key?(kid) || now - $fetched >= MAX_AGE) && now - $tried >= PAUSE
      $tried = now
      $keys, $fetched = fetch_keys, now
    end
  rescue StandardError => error
    warn "the key set cannot be fetched: #{error.message}"
  end
  raise NoKeySet if $keys.empty?
  $keys.fetch(kid) { raise JWT::DecodeError, "the key is unknown" }
end

# Header and claims, if this is the only token for them: no member twice, no other base64url.
def read(token)
  header, claims, signature = token.split(".", -1).map { |part| part.tr("-_", "+/").unpack1("m") }
  found = [header, claims].map { |part| JSON.parse(part) }
  again = [*found.map { |part| JSON.generate(part) }, signature]
  again = again.map { |part| [part].pack("m0").tr("+/", "-_").delete("=") }.join(".")
  raise JWT::DecodeError, "not in its only form" if token.length > MAX_LENGTH || again != token || !found.all?(Hash)
  found
rescue JSON::JSONError, NoMethodError, TypeError, EncodingError
  raise JWT::DecodeError, "malformed token"
end

# Returns the claims of a token for this dataset, or raises JWT::DecodeError or NoKeySet.
def verify(token, dataset_id)
  header, claims = read(token)
  uuid = UUID.match(dataset_id.to_s) or raise JWT::DecodeError, "not a dataset id"
  is_whole = claims["iat"].is_a?(Integer) && claims["exp"].is_a?(Integer)
  is_download = claims["typ"] == "download" && claims["jti"].is_a?(String)
  is_ours = claims["iss"] == ISSUER && claims["aud"] == AUDIENCE
  expected = { "alg" => "ES256", "kid" => header["kid"].to_s, "typ" => "download+jwt" }
  unless header == expected && is_download && is_whole && is_ours
    raise JWT::DecodeError, "not a download token"
  end
  raise JWT::DecodeError, "another dataset" if claims["scope"] != "dataset:#{uuid.captures.join("-").downcase}"
  raise JWT::DecodeError, "another lifetime" unless claims["exp"].between?(claims["iat"] + 1, claims["iat"] + LIFETIME)
  raise JWT::DecodeError, "not valid yet" if claims["iat"] > Time.now.to_i + LEEWAY
  JWT.decode(token, find_key(header["kid"]), true, algorithm: "ES256", exp_leeway: LEEWAY).first
end
