import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An executor of Java's own library over Mesos' HTTP API: ends each task at once. */
class HttpExecutor {
  private static final String API = "http://" + System.getenv("MESOS_AGENT_ENDPOINT") + "/api/v1/executor";
  private static final String IDS = String.format("\"framework_id\": {\"value\": \"%s\"}, \"executor_id\": {\"value\": \"%s\"}",
      System.getenv("MESOS_FRAMEWORK_ID"), System.getenv("MESOS_EXECUTOR_ID"));
  private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] arguments) throws Exception {
    HttpResponse<InputStream> events = CLIENT.send(call("SUBSCRIBE", "\"subscribe\": {}"),
        HttpResponse.BodyHandlers.ofInputStream());
    InputStream stream = events.body();
    while (true) {
      StringBuilder length = new StringBuilder();
      for (int digit = stream.read(); digit != '\n'; digit = stream.read()) {
        if (digit < 0) return;
        length.append((char) digit);
      }
      handle(new String(stream.readNBytes(Integer.parseInt(length.toString())), StandardCharsets.UTF_8));
    }
  }

  private static void handle(String event) throws Exception {
    if (event.contains("\"type\":\"SHUTDOWN\"")) System.exit(0);
    if (!event.contains("\"type\":\"LAUNCH\"")) return;
    Matcher task = Pattern.compile("\"task_id\":\\{\"value\":\"([^\"]*)\"").matcher(event);
    if (!task.find()) throw new IllegalStateException(event);
    update(task.group(1), "TASK_RUNNING");
    update(task.group(1), "TASK_FINISHED");
  }

  private static void update(String task, String state) throws Exception {
    UUID uuid = UUID.randomUUID();
    byte[] bytes = java.nio.ByteBuffer.allocate(16).putLong(uuid.getMostSignificantBits())
        .putLong(uuid.getLeastSignificantBits()).array();
    String status = String.format("\"update\": {\"status\": {\"task_id\": {\"value\": \"%s\"}, \"state\": \"%s\", "
        + "\"source\": \"SOURCE_EXECUTOR\", \"uuid\": \"%s\", \"message\": \"Java %s\"}}",
        task, state, Base64.getEncoder().encodeToString(bytes), Runtime.version().feature());
    HttpResponse<String> answer = CLIENT.send(call("UPDATE", status), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() != 202) throw new IllegalStateException(answer.body());
  }

  private static HttpRequest call(String type, String body) {
    String json = String.format("{\"type\": \"%s\", %s, %s}", type, IDS, body);
    return HttpRequest.newBuilder(URI.create(API)).header("Content-Type", "application/json")
        .header("Accept", "application/json").POST(HttpRequest.BodyPublishers.ofString(json)).build();
  }
}
