import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a script of Flink SQL in this process, statement by statement, until it is killed. A statement ends where a line
 * ends with a semicolon, outside of BEGIN … END.
 */
public final class RunScript {
  public static void main(String[] args) throws Exception {
    TableEnvironment environment = TableEnvironment.create(EnvironmentSettings.inStreamingMode());
    environment.getConfig().set("parallelism.default", "1");
    StringBuilder statement = new StringBuilder();
    boolean inside = false;
    TableResult last = null;
    for (String line : Files.readAllLines(Path.of(args[0]))) {
      if (line.startsWith("--") || line.isBlank()) continue;
      statement.append(line).append('\n');
      if (line.endsWith(" BEGIN")) inside = true;
      if (line.equals("END;")) inside = false;
      if (inside || !line.endsWith(";")) continue;
      String text = statement.substring(0, statement.lastIndexOf(";"));
      statement.setLength(0);
      if (text.startsWith("SET ")) {
        String[] parts = text.substring(4).split("=", 2);
        environment.getConfig().set(unquoted(parts[0]), unquoted(parts[1]));
        continue;
      }
      try {
        last = environment.executeSql(text);
      } catch (Exception error) {
        System.err.println("In the statement\n" + text);
        throw error;
      }
      if (text.startsWith("EXPLAIN ")) last.print();
    }
    System.out.println("RUNNING");
    if (last != null) last.await();
  }

  private static String unquoted(String text) {
    String trimmed = text.trim();
    return trimmed.substring(1, trimmed.length() - 1);
  }
}
