import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * Runs SQL for flink.ts: arguments are a port of this machine and settings (key=value), the body of a request is a
 * statement. The answer comes when the statement has ended: 200 with {"columns": [name, ...], "changes": [[kind,
 * cell, ...], ...]}, or 400 with what went wrong as text.
 */
public final class FlinkSql {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] arguments) throws Exception {
    // The planner keeps part of what it needs with the thread that made the environment.
    ExecutorService thread = Executors.newSingleThreadExecutor();
    TableEnvironment tables =
        thread.submit(() -> TableEnvironment.create(EnvironmentSettings.inStreamingMode())).get();
    for (String setting : Arrays.asList(arguments).subList(1, arguments.length)) {
      int equals = setting.indexOf('=');
      tables.getConfig().set(setting.substring(0, equals), setting.substring(equals + 1));
    }
    int port = Integer.parseInt(arguments[0]);
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setExecutor(thread);
    server.createContext("/", exchange -> answer(exchange, tables));
    server.start();
    System.out.println("Flink takes SQL");
  }

  private static void answer(HttpExchange exchange, TableEnvironment tables) {
    int status = 200;
    byte[] answer;
    try {
      String statement = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      TableResult result = tables.executeSql(statement);
      if (statement.startsWith("INSERT") || statement.startsWith("EXECUTE")) {
        // The job's own future, since its result asks the cluster, which is gone once the job has ended.
        result.getJobClient().orElseThrow().getJobExecutionResult().get();
        answer = JSON.writeValueAsBytes(Map.of("columns", List.of(), "changes", List.of()));
      } else answer = JSON.writeValueAsBytes(run(result));
    } catch (Throwable failure) {
      status = 400;
      answer = textOf(failure).getBytes(StandardCharsets.UTF_8);
    }
    try (exchange) {
      exchange.sendResponseHeaders(status, answer.length);
      exchange.getResponseBody().write(answer);
    } catch (IOException gone) {
      System.err.println("Nobody waits for the answer any more: " + gone);
    }
  }

  private static Map<String, Object> run(TableResult result) throws Exception {
    List<Object> changes = new ArrayList<>();
    if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT) {
      try (CloseableIterator<Row> rows = result.collect()) {
        while (rows.hasNext()) {
          Row row = rows.next();
          List<Object> change = cells(row);
          change.add(0, row.getKind().shortString());
          changes.add(change);
        }
      }
    }
    return Map.of("columns", result.getResolvedSchema().getColumnNames(), "changes", changes);
  }

  private static List<Object> cells(Row row) {
    List<Object> cells = new ArrayList<>();
    for (int i = 0; i < row.getArity(); i++) cells.add(cell(row.getField(i)));
    return cells;
  }

  /** As FlinkCell of flink.ts says. */
  private static Object cell(Object value) {
    if (value == null || value instanceof Boolean || value instanceof Integer) return value;
    if (value instanceof Short || value instanceof Byte) return ((Number) value).intValue();
    if (value instanceof BigDecimal) return ((BigDecimal) value).toPlainString();
    if (value instanceof byte[]) return Base64.getEncoder().encodeToString((byte[]) value);
    if (value instanceof Row) return cells((Row) value);
    if (value instanceof Object[])
      return Arrays.stream((Object[]) value).map(FlinkSql::cell).collect(Collectors.toList());
    return value.toString();
  }

  /** What went wrong, and by what, down to the first cause. */
  private static String textOf(Throwable failure) {
    List<String> texts = new ArrayList<>();
    for (Throwable each = failure; each != null; each = each.getCause())
      texts.add(each.getClass().getSimpleName() + ": " + each.getMessage());
    return String.join("\nby ", texts);
  }
}
