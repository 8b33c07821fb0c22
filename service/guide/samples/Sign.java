// Sign.java: java Sign.java
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Instant;
import java.util.Base64;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Sign {
    public static void main(String[] args) throws Exception {
        System.out.println(signCode(Map.of("id", "crm-42", "email", "ada@example.com", "name", "Ada")));
    }

    static String signCode(Map<String, String> user) throws Exception {
        long now = Instant.now().getEpochSecond();
        String claims = String.format(
            "{\"user\":%s,\"iat\":%d,\"exp\":%d,\"jti\":%s}", json(user), now, now + 300, json(UUID.randomUUID().toString()));
        String signed = base64url("{\"alg\":\"HS256\",\"typ\":\"JWT\"}".getBytes(UTF_8)) + "." + base64url(claims.getBytes(UTF_8));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(System.getenv("DOORCODE_JWT_SECRET").getBytes(UTF_8), "HmacSHA256"));
        return signed + "." + base64url(mac.doFinal(signed.getBytes(UTF_8)));
    }

    static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    // Java has no JSON writer. In your backend, use the JSON library that you have.
    static String json(Map<String, String> object) {
        return object.entrySet().stream()
            .map(entry -> json(entry.getKey()) + ":" + json(entry.getValue()))
            .collect(Collectors.joining(",", "{", "}"));
    }

    static String json(String text) {
        return text.chars()
            .mapToObj(c -> c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", c) : String.valueOf((char) c))
            .collect(Collectors.joining("", "\"", "\""));
    }
}
