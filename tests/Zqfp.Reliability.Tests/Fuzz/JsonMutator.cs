using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Zqfp.Reliability.Tests;

/// <summary>Alters JSON by its structure: values of other kinds, names left out, doubled or unknown, extremes and nesting.</summary>
internal static class JsonMutator
{
    /// <summary>Stands for half of a pair, which can be written and not be read as text.</summary>
    private const string Surrogate = "surrogate";

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1e308", "1e999", "-0.0", "2147483648", "9223372036854775808", "0.5", "\"\"", "\"x\"",
        "\"../../x\"", "\"\\u0000\"", $"\"{Surrogate}\"", "\"\\u001b[2J\"", "\"NaN\"", "[]", "{}", "[[]]", "[null]",
        "{\"x\":{}}", "\"(a+)+$\"",
        "\"\\\\p{L}+(?!x)\"", "\"\u202Ex\"", "\"|![x](http://x)\"",
    ];

    public static byte[] Mutate(byte[] json, Random random)
    {
        JsonNode? root;
        try
        {
            root = JsonNode.Parse(json);
        }
        catch (JsonException)
        {
            return ByteMutator.Mutate(json, random);
        }

        if (root is null || random.Next(12) == 0)
        {
            return ByteMutator.Mutate(json, random);
        }

        for (int i = 1 + random.Next(3); i > 0; i--)
        {
            Alter(root, random);
        }

        return Encoding.UTF8.GetBytes(root.ToJsonString().Replace(Surrogate, "\\ud800", StringComparison.Ordinal));
    }

    private static void Alter(JsonNode node, Random random)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } fields:
                string name = fields.ElementAt(random.Next(fields.Count)).Key;
                if (fields[name] is JsonObject or JsonArray && random.Next(6) > 0)
                {
                    Alter(fields[name]!, random);
                    return;
                }

                JsonNode? value = fields[name]?.DeepClone();
                switch (random.Next(6))
                {
                    case 0:
                        fields.Remove(name);
                        break;
                    case 1:
                        fields[name + "x"] = value;
                        break;
                    case 2:
                        fields[name] = new JsonArray(value);
                        break;
                    case 3:
                        fields[name] = Nested(random, value);
                        break;
                    default:
                        fields[name] = Value(random);
                        break;
                }

                break;
            case JsonArray { Count: > 0 } items:
                int chosen = random.Next(items.Count);
                if (items[chosen] is JsonObject or JsonArray && random.Next(6) > 0)
                {
                    Alter(items[chosen]!, random);
                    return;
                }

                switch (random.Next(4))
                {
                    case 0:
                        items.RemoveAt(chosen);
                        break;
                    case 1:
                        items.Add(items[chosen]?.DeepClone());
                        break;
                    case 2:
                        items.Clear();
                        break;
                    default:
                        items[chosen] = Value(random);
                        break;
                }

                break;
            case JsonObject empty:
                empty["x"] = Value(random);
                break;
            case JsonArray none:
                none.Add(Value(random));
                break;
        }
    }

    private static JsonNode? Value(Random random) => JsonNode.Parse(Values[random.Next(Values.Length)]);

    private static JsonObject Nested(Random random, JsonNode? value)
    {
        JsonObject outer = new() { ["x"] = value };
        for (int i = random.Next(60); i > 0; i--)
        {
            outer = new JsonObject { ["x"] = outer };
        }

        return outer;
    }
}
