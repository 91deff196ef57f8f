// SPDX-License-Identifier: Apache-2.0
// The JDBC driver through the gate: what an application does with it, and that a refusal is an
// SQLException of the statement and not the end of the connection.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

public class Jdbc {
	static void check(boolean ok, String what)
	{
		if (!ok)
			throw new IllegalStateException(what);
	}

	static int number(Statement s, String sql) throws SQLException
	{
		ResultSet r = s.executeQuery(sql);
		check(r.next(), sql);
		return r.getInt(1);
	}

	static void refused(Statement s, String sql) throws SQLException
	{
		try {
			s.execute(sql);
		} catch (SQLException e) {
			check("25006".equals(e.getSQLState()), e.getSQLState());
			return;
		}
		throw new IllegalStateException("not refused: " + sql);
	}

	public static void main(String[] args) throws SQLException
	{
		Connection c = DriverManager.getConnection(args[0]);
		Statement s = c.createStatement();

		check(number(s, "SELECT count(*) FROM orders") == 100, "count");
		PreparedStatement p = c.prepareStatement("SELECT id FROM orders WHERE id = ?");
		// Past the driver's threshold it uses a named statement.
		for (int i = 1; i <= 20; i++) {
			p.setInt(1, i);
			ResultSet r = p.executeQuery();
			check(r.next() && r.getInt(1) == i, "prepared");
		}
		refused(s, "INSERT INTO orders VALUES (5000)");
		check(number(s, "SELECT 1") == 1, "after a refusal");

		c.setAutoCommit(false);
		p = c.prepareStatement("SELECT id FROM orders ORDER BY id");
		p.setFetchSize(10);
		ResultSet r = p.executeQuery();
		int n = 0;
		while (r.next())
			n++;
		check(n == 100, "portal with a fetch size");
		c.commit();
		refused(s, "UPDATE orders SET amount = 0");
		check(number(s, "SELECT 2") == 2, "in a transaction, after a refusal");
		c.rollback();
		c.setReadOnly(true);
		c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
		check(number(s, "SELECT 3") == 3, "read-only");
		c.commit();
		check(c.getMetaData().getTables(null, "public", "orders", null).next(), "metadata");
		c.commit();
		c.close();
		System.out.println("all done");
	}
}
