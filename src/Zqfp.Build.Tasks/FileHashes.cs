using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Zqfp.Build.Tasks;

/// <summary>
/// Content hashes of input files, remembered by path, size and time, so that an unchanged build reads no model,
/// and a file that was only touched (a fresh checkout) does not look changed. A cache that is not as it was written is not used.
/// </summary>
internal sealed class FileHashes
{
    private const string Missing = "missing";

    private readonly string _cacheFile;
    private readonly Dictionary<string, string> _lines = new(StringComparer.Ordinal);
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);
    private bool _changed;

    public FileHashes(string cacheFile)
    {
        _cacheFile = cacheFile;
        if (!File.Exists(cacheFile))
        {
            return;
        }

        // The first line is the hash of the others.
        string text = File.ReadAllText(cacheFile);
        int end = text.IndexOf('\n');
        if (end < 0 || text.Substring(0, end) != HashOfText(text.Substring(end + 1)))
        {
            return;
        }

        foreach (string line in text.Substring(end + 1).Split('\n'))
        {
            int tab = line.IndexOf('\t');
            if (tab > 0)
            {
                _lines[line.Substring(tab + 1)] = line.Substring(0, tab);
            }
        }
    }

    /// <summary>
    /// The SHA-256 of a file's content in hexadecimal, those of all files in a folder with their names, or <c>missing</c>: the
    /// tool reports that, with the option's name.
    /// </summary>
    public string Of(string path)
    {
        if (Directory.Exists(path))
        {
            IEnumerable<string> files = Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories).OrderBy(
                name => name, StringComparer.Ordinal);
            return string.Join(" ", files.Select(name => name.Substring(path.Length) + ":" + OfFile(name)));
        }

        return OfFile(path);
    }

    /// <summary>As <see cref="Of"/>, of what is a file: a folder is <c>missing</c>.</summary>
    public string OfFile(string path)
    {
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            return Missing;
        }

        string key = string.Format(CultureInfo.InvariantCulture, "{0}:{1}\t{2}", file.Length, file.LastWriteTimeUtc.Ticks, path);
        _used.Add(key);
        if (!_lines.TryGetValue(key, out string? hash))
        {
            // Pipes and devices say that they have no bytes; to open one would wait for ever, or never come to an end.
            hash = file.Length == 0 ? HashOfText(string.Empty) : HashOfFile(path);
            _lines[key] = hash;
            _changed = true;
        }

        return hash;
    }

    /// <summary>Writes the cache back if it changed, without the entries nobody asked for.</summary>
    public void Save()
    {
        if (_changed || _used.Count != _lines.Count)
        {
            IEnumerable<string> lines = _used.OrderBy(key => key, StringComparer.Ordinal).Select(key => _lines[key] + "\t" + key);
            string text = string.Join("\n", lines) + "\n";
            TextFile.WriteIfDifferent(_cacheFile, HashOfText(text) + "\n" + text);
        }
    }

    private static string HashOfFile(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return Hash(stream);
    }

    /// <summary>The SHA-256 of a text in UTF-8, in hexadecimal.</summary>
    public static string HashOfText(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        return Hash(stream);
    }

    private static string Hash(Stream stream)
    {
        using var algorithm = SHA256.Create();
        return string.Concat(algorithm.ComputeHash(stream).Select(octet => octet.ToString("x2", CultureInfo.InvariantCulture)));
    }
}
